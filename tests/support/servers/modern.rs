//! Streamable HTTP of 2026-07-28 and nothing else, strict about what its clients must send.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response, sse::Sse},
    routing::post,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::post::{self, Post, event};
use crate::support::{
    kit::{Fault, Server, rpc},
    peer::Peer,
};

pub(super) const REVISION: &str = "2026-07-28";
pub(super) const META: &str = "io.modelcontextprotocol/";
const METHODS: [&str; 10] = [
    "server/discover",
    "subscriptions/listen",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
];

/// The endpoint.
pub(super) fn router(peer: Arc<Peer>) -> Router {
    Router::new().route("/mcp", post(hear)).with_state(peer)
}

async fn hear(State(peer): State<Arc<Peer>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return refuse(&Value::Null, Fault { code: -32700, message: "not JSON".into(), data: None });
    };
    peer.ledger.post(&headers, &message);
    if message.get("id").is_none() {
        peer.notified(message["method"].as_str().unwrap_or_default(), &message["params"]);
        return StatusCode::ACCEPTED.into_response();
    }
    if let Err(fault) = check(&headers, &message) {
        return refuse(&message["id"], fault);
    }
    match message["method"].as_str() {
        Some("server/discover") => {
            peer.ledger.count_method("server/discover");
            post::json(StatusCode::OK, &rpc::response(&message["id"], discovered(&peer)))
        }
        Some("subscriptions/listen") => listen(&peer, &message),
        _ => {
            let cacheable = message["method"] != "tools/call" && message["method"] != "prompts/get";
            let post = Post::start(peer, &message, move |answer| complete(answer, cacheable));
            post.cancelled_by_drop().respond(|message| status(&message["error"]["code"])).await
        }
    }
}

/// What the revision demands of a request over HTTP, in the order of the specification's own checks.
fn check(headers: &HeaderMap, message: &Value) -> Result<(), Fault> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let mismatch = |name: &str| Fault { code: -32020, message: format!("{name} differs from the body"), data: None };
    let meta = |key: &str| &message["params"]["_meta"][format!("{META}{key}")];
    let method = message["method"].as_str().unwrap_or_default();

    let accept = header(header::ACCEPT.as_str()).unwrap_or_default();
    if !["application/json", "text/event-stream"].iter().all(|kind| accept.contains(kind)) {
        return Err(Fault::params("both media types must be accepted"));
    }
    let revision = meta("protocolVersion").as_str().or(header("mcp-protocol-version")).unwrap_or_default();
    if method == "initialize" || (!revision.is_empty() && revision != REVISION) {
        let data = json!({ "supported": [REVISION], "requested": revision });
        return Err(Fault { code: -32022, message: "unsupported protocol version".into(), data: Some(data) });
    }
    if !meta("protocolVersion").is_string() || !meta("clientCapabilities").is_object() {
        return Err(Fault::params("_meta lacks protocolVersion or clientCapabilities"));
    }
    if header("mcp-protocol-version") != Some(REVISION) {
        return Err(mismatch("MCP-Protocol-Version"));
    }
    if header("mcp-method") != Some(method) {
        return Err(mismatch("Mcp-Method"));
    }
    let named = match method {
        "tools/call" | "prompts/get" => message["params"]["name"].as_str(),
        "resources/read" => message["params"]["uri"].as_str(),
        _ => None,
    };
    if named.is_some() && header("mcp-name") != named {
        return Err(mismatch("Mcp-Name"));
    }
    if METHODS.contains(&method) { Ok(()) } else { Err(Fault::method(method)) }
}

fn status(code: &Value) -> StatusCode {
    match code.as_i64() {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32700 | -32022..=-32020) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

fn refuse(id: &Value, fault: Fault) -> Response {
    let status = if fault.code == -32601 { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
    post::json(status, &rpc::response(id, Err(fault)))
}

/// Makes an answer of the revision out of one of the `initialize` era.
pub(super) fn complete(answer: &mut Result<Value, Fault>, cacheable: bool) {
    match answer {
        Ok(result) => {
            if result.get("resultType").is_none() {
                result["resultType"] = json!("complete");
            }
            if cacheable {
                result["ttlMs"] = json!(1000);
                result["cacheScope"] = json!("public");
            }
        }
        Err(fault) if fault.code == -32002 => fault.code = -32602,
        Err(_) => {}
    }
}

pub(super) fn discovered(peer: &Peer) -> Result<Value, Fault> {
    let mut answer = Ok(json!({
        "supportedVersions": [REVISION],
        "capabilities": peer.capabilities(),
        "instructions": format!("{} is a test server.", peer.name()),
        "_meta": { format!("{META}serverInfo"): { "name": peer.name(), "version": "1.0.0" } },
    }));
    complete(&mut answer, true);
    answer
}

fn listen(peer: &Peer, message: &Value) -> Response {
    peer.ledger.count_method("subscriptions/listen");
    let tag = json!({ format!("{META}subscriptionId"): message["id"] });
    let filter = message["params"]["notifications"].clone();
    let mut honoured = json!({});
    for kind in ["toolsListChanged", "resourceSubscriptions"] {
        if let Some(wanted) = filter.get(kind).filter(|wanted| **wanted != false) {
            honoured[kind] = wanted.clone();
        }
    }
    let acknowledged = json!({
        "jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": { "notifications": honoured, "_meta": tag },
    });
    let news = peer.notifications().expect("a peer has news");
    let events = stream::unfold(news, move |mut news| {
        let tag = tag.clone();
        async move {
            let mut note = news.recv().await.ok()?;
            note["params"]["_meta"] = tag;
            Some((note, news))
        }
    });
    let events = events.filter(move |note| std::future::ready(wants(&filter, note)));
    let events = stream::iter([acknowledged]).chain(events);
    Sse::new(events.map(|note| Ok::<_, Infallible>(event(&note)))).into_response()
}

/// Whether a client with this filter is to hear of a note.
pub(super) fn wants(filter: &Value, note: &Value) -> bool {
    match note["method"].as_str() {
        Some("notifications/tools/list_changed") => filter["toolsListChanged"] == true,
        Some("notifications/resources/updated") => {
            let uris = filter["resourceSubscriptions"].as_array();
            uris.is_some_and(|uris| uris.contains(&note["params"]["uri"]))
        }
        _ => false,
    }
}
