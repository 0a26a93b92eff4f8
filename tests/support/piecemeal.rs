//! A server whose answers to calls the test sends itself, and a client that reads them piece by piece; each of either era.
#![allow(dead_code, reason = "each test target uses its part")]

use crate::{
    support::clients::{Raw, modern},
    wire::{Peer, Request},
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{sync::mpsc, task::JoinHandle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    Initialize,
    Modern,
}

impl Era {
    pub(crate) const ALL: [Era; 2] = [Era::Initialize, Era::Modern];
}

/// Answers everything but calls.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Request>,
    answering: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(era: Era) -> Self {
        let mut peer = Peer::start().await;
        let (address, (sender, calls)) = (peer.address, mpsc::unbounded_channel());
        let answering = tokio::spawn(async move {
            while let Some(request) = peer.any().await {
                if request.line().starts_with("POST") && request.json()["method"] == "tools/call" {
                    let _ = sender.send(request);
                } else {
                    tokio::spawn(answer(era, request));
                }
            }
        });
        Self { address, calls, answering }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The next call, to be answered.
    pub(crate) async fn call(&mut self) -> Request {
        crate::support::soon("a call", self.calls.recv()).await.expect("the server runs")
    }

    /// Whether a call is there to be answered.
    pub(crate) fn has_call(&self) -> bool {
        !self.calls.is_empty()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer(era: Era, request: Request) {
    if !request.line().starts_with("POST") {
        return request.respond("405 Method Not Allowed", "", "").await;
    }
    let asked = request.json();
    let info = json!({ "name": "piecemeal", "version": "1.0.0" });
    let result = match (asked["method"].as_str().unwrap_or_default(), era) {
        ("server/discover", Era::Modern) => json!({
            "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} }, "serverInfo": info,
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
        }),
        ("initialize", Era::Initialize) => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": info,
        }),
        ("tools/list", _) => json!({
            "tools": [{ "name": "get", "inputSchema": { "type": "object" } }],
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
        }),
        ("ping", _) => json!({}),
        _ if asked.get("id").is_none() => return request.accept().await,
        _ => {
            let error = json!({ "code": -32601, "message": "no such method" });
            let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error });
            return request.json_response(&answer.to_string()).await;
        }
    };
    request.result(&result.to_string()).await;
}

/// A client that opened its session, where its era has any.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    session: Option<String>,
}

impl Client {
    pub(crate) async fn open(era: Era, address: SocketAddr) -> Self {
        if era == Era::Modern {
            return Self { address, session: None };
        }
        let info = json!({ "name": "raw", "version": "1.0.0" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let opening = json!({ "jsonrpc": "2.0", "id": "open", "method": "initialize", "params": params });
        let opened = Raw::post(address, "/mcp", &[], &opening).await;
        let session = opened.headers["mcp-session-id"].to_str().expect("a session's id").to_owned();
        let client = Self { address, session: Some(session) };
        client.post(&[], &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        client
    }

    /// Calls the tool, and reads the head of what comes back.
    pub(crate) async fn call(&self, id: Value) -> Raw {
        self.send(id, json!({ "name": "get", "arguments": {} })).await
    }

    /// The same, of a client that wants to hear of its call's progress.
    pub(crate) async fn watch(&self, id: Value) -> Raw {
        self.send(id, json!({ "name": "get", "arguments": {}, "_meta": { "progressToken": "t" } })).await
    }

    async fn send(&self, id: Value, params: Value) -> Raw {
        let (headers, message) = match self.session {
            Some(_) => (Vec::new(), json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })),
            None => modern(id, "tools/call", params),
        };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post(&headers, &message).await
    }

    async fn post(&self, headers: &[(&str, &str)], message: &Value) -> Raw {
        let mut all = headers.to_vec();
        if let Some(session) = &self.session {
            all.extend([("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")]);
        }
        Raw::post(self.address, "/mcp", &all, message).await
    }
}

/// The head of a response of this length, or of chunks. It is the last on its connection, which the test will drop.
pub(crate) fn head(length: Option<usize>) -> String {
    let framing = length.map_or("transfer-encoding: chunked".to_owned(), |length| format!("content-length: {length}"));
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n{framing}\r\n\r\n")
}

/// The head of an event stream, which ends with its connection.
pub(crate) const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// An event with a note of progress in answer to a request of who [watches](Client::watch).
pub(crate) fn note(request: &Request, progress: u32) -> String {
    let token = &request.json()["params"]["_meta"]["progressToken"];
    let params = json!({ "progressToken": token, "progress": progress });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
    format!("event: message\nid: e-{progress}\ndata: {note}\n\n")
}

/// A result whose text has about so many bytes, in lines.
pub(crate) fn result(bytes: usize) -> String {
    let text = "All work and no play makes a dull gateway: é.\\n".repeat(bytes / 48);
    format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\"isError\":false}}")
}
