//! Clients that open with `initialize`.

mod batches;
mod calls;
mod events;
mod lifecycle;
mod questions;
mod resume;
mod rounds;
mod sealed;
mod streams;
mod subscriptions;

use super::support::*;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tower_mcp_gateway::{Call, edge::Body, reply::Outcome};

pub(crate) fn initialize(version: &str, capabilities: Value) -> Post {
    let params =
        json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "c", "version": "1"}});
    post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
}

/// What the catalog says about the gateway.
pub(crate) fn discovered() -> Outcome {
    result(json!({
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {"listChanged": true}},
        "instructions": "be kind",
        "ttlMs": 0,
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "g", "version": "2"}},
    }))
}

/// Opens a session and gives its id.
pub(crate) async fn open(edge: &TestEdge, behind: &mut Behind, version: &str) -> String {
    open_with(edge, behind, version, json!({})).await
}

/// Opens a session of a client that can do this.
pub(crate) async fn open_with(edge: &TestEdge, behind: &mut Behind, version: &str, capabilities: Value) -> String {
    let (_, response) = through(edge, behind, initialize(version, capabilities), discovered()).await;
    header_of(&response, "mcp-session-id").expect("a session").to_owned()
}

pub(crate) fn request(session: &str, id: Value, method: &str, params: Value) -> Post {
    in_session(session, json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

pub(crate) fn told(session: &str, method: &str, params: Value) -> Post {
    in_session(session, json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

pub(crate) fn in_session(session: &str, body: Value) -> Post {
    post(body).with("mcp-session-id", session)
}

pub(crate) fn get(session: &str) -> Post {
    bare(Method::GET, "/mcp").with("mcp-session-id", session).with("accept", "text/event-stream")
}

pub(crate) fn delete(session: &str) -> Post {
    bare(Method::DELETE, "/mcp").with("mcp-session-id", session)
}

pub(crate) fn resume(session: &str, last: &str) -> Post {
    get(session).with("last-event-id", last)
}

pub(crate) fn tool_call(session: &str, id: Value) -> Post {
    request(session, id, "tools/call", json!({"name": "n", "arguments": {"a": 1}}))
}

/// The client's answer to a question.
pub(crate) fn answer(session: &str, id: &Value, answer: Value) -> Post {
    in_session(session, json!({"jsonrpc": "2.0", "id": id, "result": answer}))
}

/// A tool call of a session, and what stands behind the edge once it has arrived there.
pub(crate) async fn called(
    edge: &TestEdge,
    behind: &mut Behind,
    request: Request<http_body_util::Full<bytes::Bytes>>,
) -> (tokio::task::JoinHandle<Response<Body>>, Call, tower_test::mock::SendResponse<tower_mcp_gateway::Reply>) {
    let answer = start(edge, request);
    let (call, respond) = next(behind).await;
    (answer, call, respond)
}
