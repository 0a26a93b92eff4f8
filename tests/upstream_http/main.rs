//! Streamable HTTP towards servers, byte by byte.
#![cfg(feature = "http")]

mod answers;
mod calls;
mod cancel;
mod failures;
mod flood;
mod line;
mod listen;
mod mirror;
mod questions;
mod refused;
mod resume;
mod together;
#[path = "../support/wire.rs"]
mod wire;

use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use tower::{Service, ServiceExt};
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply, Revision,
    json::Params,
    registry::Server,
    upstream::{Hop, Outbound, http::Http},
};
use wire::{Peer, Request};

fn transport(peer: &Peer) -> Http {
    at(&peer.url("/mcp?k=1"))
}

fn at(url: &str) -> Http {
    let server = Server::http("a", "a", url).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer own"));
    headers.insert("cache-control", HeaderValue::from_static("max-age=0"));
    headers.insert("accept", HeaderValue::from_static("what no configuration can ask for"));
    Http::new(&server, &url.parse().unwrap(), &headers)
}

fn modern() -> Arc<Hop> {
    Hop::new(Some(Revision::V2026_07_28), 1).into()
}

fn legacy() -> Arc<Hop> {
    Hop::new(Some(Revision::V2025_11_25), 1).into()
}

fn session() -> Arc<Hop> {
    let hop = legacy();
    hop.set_session_id(HeaderValue::from_static("s-1"));
    hop
}

fn call(method: Method, params: serde_json::Value) -> Call {
    Call::new(method, Params::from_value(&params).unwrap())
}

fn tool() -> Call {
    call(Method::TOOLS_CALL, serde_json::json!({"name": "search"}))
}

/// Sends a call from a task of its own, so that the test can play the server.
fn send(transport: &Http, hop: &Arc<Hop>, call: Call) -> tokio::task::JoinHandle<Result<Reply, BoxError>> {
    let (mut transport, hop) = (transport.clone(), hop.clone());
    tokio::spawn(async move { transport.ready().await?.call(Outbound { call, hop }).await })
}

fn find<E: std::error::Error + 'static>(error: &BoxError) -> &E {
    tower_mcp_gateway::error::find::<E>(&**error).unwrap_or_else(|| panic!("another error: {error:?}"))
}
