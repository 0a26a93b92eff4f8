//! A server of one era: `echo`, `blob` of 256 KiB, `stream` of ten progress notes, and a list of 500 tools.

use crate::load::Era;
use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::LazyLock};

static BLOB: LazyLock<String> = LazyLock::new(|| "x".repeat(256 << 10));

static TOOLS: LazyLock<Value> = LazyLock::new(|| {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string", "description": "x".repeat(900)}}});
    let tool = |name: String| json!({"name": name, "description": "Does what it is called.", "inputSchema": schema});
    let filling = (0..497).map(|n| format!("tool_{n}"));
    ["echo", "blob", "stream"].into_iter().map(String::from).chain(filling).map(tool).collect()
});

/// Starts it on a free port.
pub(crate) async fn start(era: Era) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = Router::new().route("/mcp", post(move |body: Bytes| async move { answer(era, &body) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn answer(era: Era, body: &[u8]) -> Response {
    let request: Value = serde_json::from_slice(body).expect("JSON");
    let (id, params) = (&request["id"], &request["params"]);
    let result = match (request["method"].as_str().unwrap_or_default(), era) {
        ("initialize", Era::Early) => json!({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "bench", "version": "1"}
        }),
        ("server/discover", Era::Modern) => json!({
            "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete", "ttlMs": 0,
            "cacheScope": "private"
        }),
        ("tools/list", _) => json!({"tools": *TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}),
        ("tools/call", _) if params["name"] == "stream" => return stream(id, &params["_meta"]["progressToken"]),
        ("tools/call", _) if params["name"] == "blob" => text(&BLOB),
        ("tools/call", _) => text(params["arguments"]["text"].as_str().unwrap_or_default()),
        ("ping", _) => json!({}),
        _ if id.is_null() => return StatusCode::ACCEPTED.into_response(),
        _ => {
            return json_of(
                &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}}),
            );
        }
    };
    json_of(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
}

fn json_of(message: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], message.to_string()).into_response()
}

fn stream(id: &Value, token: &Value) -> Response {
    let notes = (1..=10).map(|n| {
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": n}})
    });
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": text("done")});
    let events: String = notes.chain([answer]).map(|message| format!("data: {message}\n\n")).collect();
    ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
}
