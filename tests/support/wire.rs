//! A server whose every byte is the test's: it shows each request and sends what it is told to.
#![allow(dead_code, unreachable_pub, reason = "shared by test crates that each use a part")]

#[path = "kept.rs"]
#[allow(clippy::duplicate_mod, reason = "some test targets take all of the support beside this")]
mod kept;

pub use self::kept::Kept;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};

/// Far above what anything here takes; only a failure waits for so long.
const PATIENCE: Duration = Duration::from_secs(8);

pub struct Peer {
    pub address: SocketAddr,
    kept: Kept,
    requests: mpsc::UnboundedReceiver<Request>,
    more: mpsc::UnboundedSender<Request>,
    accepting: tokio::task::JoinHandle<()>,
}

/// A request that was read, and the connection it came on.
pub struct Request {
    pub head: String,
    pub body: String,
    connection: TcpStream,
    more: mpsc::UnboundedSender<Request>,
}

impl Peer {
    pub async fn start() -> Self {
        Self::at(Kept::new())
    }

    pub fn at(kept: Kept) -> Self {
        let (listener, address) = (kept.listen(), kept.address());
        let (more, requests) = mpsc::unbounded_channel();
        let sender = more.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(read(connection, sender.clone()));
            }
        });
        Self { address, kept, requests, more, accepting }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn next(&mut self) -> Request {
        timeout(PATIENCE, self.requests.recv()).await.expect("a request").unwrap()
    }

    /// The next request, whenever it comes.
    pub async fn any(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Requests that are there already.
    pub fn waiting(&mut self) -> Option<Request> {
        self.requests.try_recv().ok()
    }

    /// Stops listening.
    pub async fn stop(self) -> Kept {
        self.accepting.abort();
        let _ = self.accepting.await;
        self.kept
    }
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn id(&self) -> u64 {
        self.json()["id"].as_u64().unwrap()
    }

    /// Sends bytes and keeps the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends bytes for as long as the other side takes any; whether it took all.
    pub async fn sends(&mut self, bytes: &[u8]) -> bool {
        self.connection.write_all(bytes).await.is_ok()
    }

    /// Sends bytes to a peer that may stop reading.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.connection.write_all(bytes.as_ref()).await;
    }

    /// Sends a whole response and waits for the next request on the connection.
    pub async fn respond(mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")).await;
        tokio::spawn(read(self.connection, self.more));
    }

    pub async fn json_response(self, body: &str) {
        self.respond("200 OK", "content-type: application/json\r\n", body).await;
    }

    pub async fn result(self, result: &str) {
        let body = format!("{{\"jsonrpc\":\"2.0\",\"result\":{result},\"id\":{}}}", self.json()["id"]);
        self.json_response(&body).await;
    }

    pub async fn accept(self) {
        self.respond("202 Accepted", "", "").await;
    }

    /// Begins an event stream; further events follow with [`event`](Self::event).
    pub async fn stream(&mut self) {
        self.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n")
            .await;
    }

    pub async fn event(&mut self, data: &str) {
        self.send(format!("data: {data}\r\n\r\n")).await;
    }

    /// Waits until the other side has closed the connection.
    pub async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.connection.read_to_end(&mut rest)).await.expect("the peer closes");
    }

    /// Closes our side and waits for the other to follow.
    pub async fn shut(mut self) {
        self.connection.shutdown().await.unwrap();
        self.closed().await;
    }
}

async fn read(mut connection: TcpStream, more: mpsc::UnboundedSender<Request>) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        match connection.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.to_ascii_lowercase();
    let length =
        length.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let body = String::from_utf8(bytes[end..].to_vec()).unwrap();
    let sender = more.clone();
    let _ = sender.send(Request { head, body, connection, more });
}
