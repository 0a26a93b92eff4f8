//! A client that sends exactly what a test says, one connection per exchange.

use std::{collections::VecDeque, net::SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::soon;

const BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");

/// One exchange that was begun; what is left of its body is read by need.
#[derive(Debug)]
pub struct Raw {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: BufReader<TcpStream>,
    /// Bytes of a chunk that were read but not given out.
    ready: VecDeque<u8>,
    left: Framing,
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    Chunks,
    Length(usize),
    UntilClose,
    Over,
    /// It ended before its end.
    Cut,
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The messages of the body, of either media type.
    pub fn messages(&self) -> Vec<Value> {
        let media = self.headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
        if media.starts_with("text/event-stream") { events(&self.body) } else { vec![self.json()] }
    }
}

impl Raw {
    /// Sends the bytes as they are and reads the head of what comes back.
    pub async fn send(address: SocketAddr, bytes: &[u8]) -> Self {
        soon("an HTTP response", async {
            let mut stream = TcpStream::connect(address).await.expect("connecting");
            stream.write_all(bytes).await.expect("sending");
            Self::receive(BufReader::new(stream)).await
        })
        .await
    }

    /// Sends a request of HTTP/1.1 with `Host` and, where there is a body, its length.
    pub async fn request(address: SocketAddr, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("host: {address}\r\n");
        }
        if !line.starts_with("GET") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        Self::send(address, &[head.as_bytes(), body].concat()).await
    }

    /// Posts a message as clients of either era do; `headers` are added.
    pub async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], message: &Value) -> Self {
        let mut all = vec![BOTH, ("content-type", "application/json")];
        all.extend_from_slice(headers);
        Self::request(address, &format!("POST {path}"), &all, message.to_string().as_bytes()).await
    }

    /// Opens a stream of events.
    pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("accept", "text/event-stream")];
        all.extend_from_slice(headers);
        Self::request(address, &format!("GET {path}"), &all, b"").await
    }

    async fn receive(mut body: BufReader<TcpStream>) -> Self {
        let status = line(&mut body).await.expect("a status line");
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut headers = HeaderMap::new();
        while let Some(header) = line(&mut body).await.filter(|header| !header.is_empty()) {
            let (name, value) = header.split_once(':').expect("a header");
            let name: HeaderName = name.parse().expect("a header's name");
            headers.append(name, HeaderValue::from_str(value.trim()).expect("a header's value"));
        }
        let length = headers.get("content-length").map(|length| length.to_str().unwrap().parse().expect("a length"));
        let left = match length {
            Some(length) => Framing::Length(length),
            None if headers.contains_key("transfer-encoding") => Framing::Chunks,
            None => Framing::UntilClose,
        };
        Self { status, headers, body, ready: VecDeque::new(), left }
    }

    /// The next bytes of the body: at least so many, unless it ends before.
    pub async fn bytes(&mut self, least: usize) -> Vec<u8> {
        soon("bytes of a response", async {
            let mut bytes = Vec::new();
            while bytes.len() < least {
                self.fill().await;
                if self.ready.is_empty() {
                    break;
                }
                bytes.extend(self.ready.drain(..));
            }
            bytes
        })
        .await
    }

    /// Whether the body was read and has broken off before its end.
    pub fn is_cut(&self) -> bool {
        matches!(self.left, Framing::Cut)
    }

    /// Reads on to the end.
    pub async fn collect(mut self) -> Answer {
        soon("the end of a response", async {
            let mut body = Vec::new();
            while let Some(byte) = self.byte().await {
                body.push(byte);
            }
            Answer { status: self.status, headers: self.headers, body }
        })
        .await
    }

    /// The next event of a stream, as its type and its data; `None` at the end.
    pub async fn event(&mut self) -> Option<(String, String)> {
        soon("an event", async {
            let mut event = Vec::new();
            loop {
                event.push(self.byte().await?);
                if !event.ends_with(b"\n\n") {
                    continue;
                }
                if let Some(event) = parse(&event) {
                    return Some(event);
                }
                event.clear();
            }
        })
        .await
    }

    /// The next message of a stream.
    pub async fn message(&mut self) -> Option<Value> {
        let (_, data) = self.event().await?;
        Some(serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error} in {data:?}")))
    }

    async fn byte(&mut self) -> Option<u8> {
        if self.ready.is_empty() {
            self.fill().await;
        }
        self.ready.pop_front()
    }

    async fn fill(&mut self) {
        let most = match self.left {
            Framing::Over | Framing::Cut => return,
            Framing::UntilClose => usize::MAX,
            Framing::Length(left) => left,
            Framing::Chunks => {
                let size = line(&mut self.body).await.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
                let mut chunk = vec![0; size.unwrap_or_default()];
                if chunk.is_empty() || self.body.read_exact(&mut chunk).await.is_err() {
                    self.left = if size == Some(0) { Framing::Over } else { Framing::Cut };
                    return;
                }
                line(&mut self.body).await;
                self.ready.extend(chunk);
                return;
            }
        };
        let got = self.body.fill_buf().await.unwrap_or_default();
        let taken = got.len().min(most);
        self.ready.extend(&got[..taken]);
        self.body.consume(taken);
        self.left = match self.left {
            Framing::Length(1..) if taken == 0 => Framing::Cut,
            _ if taken == 0 => Framing::Over,
            Framing::Length(left) => Framing::Length(left - taken),
            other => other,
        };
    }
}

async fn line(from: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = from.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The messages in a body of events.
pub fn events(body: &[u8]) -> Vec<Value> {
    let body = String::from_utf8_lossy(body).replace("\r\n", "\n");
    let events = body.split("\n\n").filter_map(|event| parse(format!("{event}\n\n").as_bytes()));
    events.map(|(_, data)| serde_json::from_str(&data).expect("data is JSON")).collect()
}

/// Type and data of an event; `None` where there is no data, as in a comment.
fn parse(event: &[u8]) -> Option<(String, String)> {
    let event = String::from_utf8_lossy(event);
    let (mut kind, mut data) = ("message".to_owned(), Vec::new());
    for line in event.lines() {
        match line.split_once(':') {
            Some(("event", value)) => kind = value.trim_start().to_owned(),
            Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value)),
            _ => {}
        }
    }
    let data = data.join("\n");
    (!data.is_empty()).then_some((kind, data))
}

/// A request of 2026-07-28 with everything it must carry, and the headers that go with it.
pub fn modern(id: Value, method: &str, mut params: Value) -> (Vec<(&'static str, String)>, Value) {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({ "name": "raw", "version": "1.0.0" });
    let mut headers = vec![("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", method.to_owned())];
    let named = if method == "resources/read" { &params["uri"] } else { &params["name"] };
    if let Some(name) = named.as_str() {
        headers.push(("mcp-name", name.to_owned()));
    }
    (headers, json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}
