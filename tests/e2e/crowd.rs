//! Two hundred calls at once, all of the same id, each from another client: no answer may go to the wrong one.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    front::{Front, child},
    support::{
        clients::{Raw, modern},
        servers::{Kind, Running, Speaks},
    },
};

const CLIENTS: usize = 200;

async fn modern_call(at: SocketAddr, text: &str) -> Value {
    let (headers, message) = modern(json!(1), "tools/call", json!({ "name": "echo", "arguments": { "text": text } }));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    last(Raw::post(at, "/mcp", &headers, &message).await).await
}

async fn legacy_call(at: SocketAddr, text: &str) -> Value {
    let info = json!({ "name": "raw", "version": "1.0.0" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let opening = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let opened = Raw::post(at, "/mcp", &[], &opening).await;
    let session = opened.headers["mcp-session-id"].to_str().expect("a session's id").to_owned();
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    Raw::post(at, "/mcp", &headers, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    let params = json!({ "name": "echo", "arguments": { "text": text } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    last(Raw::post(at, "/mcp", &headers, &call).await).await
}

async fn last(response: Raw) -> Value {
    let answer = response.collect().await;
    answer.messages().pop().unwrap_or_else(|| panic!("no message under {}", answer.status))
}

async fn crowd(front: &Front) {
    let at = front.address();
    let calls = (0..CLIENTS).map(|client| async move {
        let text = format!("client {client}");
        let said = if client % 2 == 0 { modern_call(at, &text).await } else { legacy_call(at, &text).await };
        assert_eq!(said["id"], 1, "{said}");
        assert_eq!(said.pointer("/result/content/0/text"), Some(&json!(text)), "{said}");
    });
    join_all(calls).await;
}

#[tokio::test]
async fn over_http() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::LegacySessionless, Kind::Modern, Kind::Rmcp(Speaks::Both)] {
        println!("{kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        crowd(&front).await;
        assert_eq!(server.peer.ledger.calls("echo"), CLIENTS);
    }
}

#[tokio::test]
async fn over_stdio() {
    for era in ["plain", "both"] {
        println!("{era}");
        crowd(&Front::of(vec![child("one-1", "one", era)]).await).await;
    }
}
