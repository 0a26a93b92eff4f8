//! Clients that send a call, check its answer, and send the next.

use crate::processes::Middle;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// The word for `tools/list` among the names of tools.
pub(crate) const LIST: &str = "tools/list";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2025-11-25
    Early,
    /// 2026-07-28
    Modern,
}

/// Calls of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) era: Era,
    pub(crate) tool: &'static str,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

/// What came of it.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    /// Of the process in the middle, for each call.
    pub(crate) cpu_micros: f64,
}

impl Load {
    pub(crate) async fn run(self, middle: Option<&Middle>) -> Measured {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(Client::open(self).await);
        }
        let (before, begun) = (middle.map(Middle::cpu), Instant::now());
        let running: Vec<_> = clients.into_iter().map(|client| tokio::spawn(client.run(begun + self.time))).collect();
        let mut calls = 0;
        for client in running {
            calls += client.await.expect("every answer is right");
        }
        let spent = begun.elapsed();
        let cpu = middle.map(Middle::cpu).zip(before).map_or(Duration::ZERO, |(after, before)| after - before);
        let calls = f64::from(calls);
        Measured { per_second: calls / spent.as_secs_f64(), cpu_micros: cpu.as_secs_f64() * 1e6 / calls }
    }
}

struct Client {
    stream: TcpStream,
    request: Arc<[u8]>,
    expected: &'static [u8],
    answer: Vec<u8>,
}

impl Client {
    async fn open(load: Load) -> Self {
        let stream = TcpStream::connect(load.address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let expected: &[u8] = match load.tool {
            LIST => b"tool_496",
            "stream" => b"done",
            _ => b"\"content\"",
        };
        let mut client = Self { stream, request: Arc::new([]), expected, answer: Vec::new() };
        let session = client.initialize(load.era).await;
        client.request = request(load, session.as_deref()).into();
        client
    }

    /// Opens a session where the era has them, and gives its id where the server issues one.
    async fn initialize(&mut self, era: Era) -> Option<String> {
        if era == Era::Modern {
            return None;
        }
        let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        self.send(post("", body).as_bytes()).await;
        let head = String::from_utf8_lossy(&self.answer).into_owned();
        let id = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("mcp-session-id").then(|| value.to_owned())
        });
        let told = id.as_ref().map_or(String::new(), |id| format!("mcp-session-id: {id}\r\n"));
        self.send(post(&told, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).as_bytes()).await;
        id
    }

    async fn run(mut self, end: Instant) -> u32 {
        let mut calls = 0;
        while Instant::now() < end {
            self.send(&self.request.clone()).await;
            assert!(
                memchr::memmem::find(&self.answer, self.expected).is_some(),
                "a wrong answer: {}",
                String::from_utf8_lossy(&self.answer[..self.answer.len().min(600)])
            );
            calls += 1;
        }
        calls
    }

    /// Sends a request and reads the whole of its answer.
    async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("a server that reads");
        self.answer.clear();
        while !is_complete(&self.answer) {
            let read = self.stream.read_buf(&mut self.answer).await.expect("a server that answers");
            assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&self.answer));
        }
    }
}

/// Whether an answer ends here, by its length or by its last chunk.
fn is_complete(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    match length {
        Some(length) => answer.len() >= end + 4 + length,
        None if head.contains("chunked") => answer.ends_with(b"0\r\n\r\n"),
        None => true,
    }
}

fn request(load: Load, session: Option<&str>) -> Vec<u8> {
    const META: &str =
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;
    let modern = load.era == Era::Modern;
    let token = if load.tool == "stream" { r#""progressToken":1"# } else { "" };
    let comma = if modern && !token.is_empty() { "," } else { "" };
    let meta = format!(r#""_meta":{{{}{comma}{token}}}"#, if modern { META } else { "" });
    let (method, params) = match load.tool {
        LIST => (LIST, meta),
        tool => {
            let text = "x".repeat(200);
            ("tools/call", format!(r#""name":"{tool}","arguments":{{"text":"{text}"}},{meta}"#))
        }
    };
    let mut headers = session.map_or(String::new(), |id| format!("mcp-session-id: {id}\r\n"));
    if modern {
        headers += &format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n");
        if load.tool != LIST {
            headers += &format!("mcp-name: {}\r\n", load.tool);
        }
    }
    post(&headers, &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)).into_bytes()
}

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, \
         text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
