//! Requests of 2026-07-28, as a client would send them.

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_mcp_gateway::edge::Body;

pub(crate) type Post = Request<Full<bytes::Bytes>>;

pub(crate) fn request(method: &str, mut params: Value) -> Post {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let request = Request::post("/mcp").header("host", "localhost").header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    let request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
    let name = params["name"].as_str().unwrap_or_default();
    let request = if name.is_empty() { request } else { request.header("mcp-name", name) };
    request.body(Full::from(body.to_string())).unwrap()
}

pub(crate) fn call() -> Post {
    request("tools/call", json!({"name": "echo"}))
}

pub(crate) async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
