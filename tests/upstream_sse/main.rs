//! HTTP+SSE of 2024-11-05 towards servers, byte by byte.
#![cfg(feature = "sse")]

mod calls;
mod connection;
#[cfg(feature = "http")]
mod fallback;
#[path = "../support/wire.rs"]
mod wire;

use http::HeaderMap;
use std::sync::Arc;
use tower::{Service, ServiceExt};
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply, Revision,
    json::Params,
    registry::Server,
    upstream::{Hop, Outbound, Transport, sse::Sse},
};
use wire::{Peer, Request};

fn transport(peer: &Peer) -> (Sse, Server) {
    at(&peer.url("/sse"))
}

fn at(url: &str) -> (Sse, Server) {
    let server = Server::sse("a", "a", url).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer own".parse().unwrap());
    (Sse::new(&server, &url.parse().unwrap(), &headers), server)
}

/// Serves the stream that the driver asks for, up to its endpoint.
async fn stream(peer: &mut Peer, endpoint: &str) -> Request {
    let mut stream = peer.next().await;
    assert!(stream.line().starts_with("GET "), "{}", stream.line());
    stream.stream().await;
    stream.send(format!("event: endpoint\ndata: {endpoint}\n\n")).await;
    stream
}

async fn hop(sse: &Sse) -> Arc<Hop> {
    Hop::new(Some(Revision::V2024_11_05), sse.connected().await.unwrap()).into()
}

fn tool() -> Call {
    Call::new(Method::TOOLS_CALL, Params::from_value(&serde_json::json!({"name": "search"})).unwrap())
}

fn send(transport: &Sse, hop: &Arc<Hop>, call: Call) -> tokio::task::JoinHandle<Result<Reply, BoxError>> {
    let (mut transport, hop) = (transport.clone(), hop.clone());
    tokio::spawn(async move { transport.ready().await?.call(Outbound { call, hop }).await })
}

fn find<E: std::error::Error + 'static>(error: &BoxError) -> &E {
    tower_mcp_gateway::error::find::<E>(&**error).unwrap_or_else(|| panic!("another error: {error:?}"))
}

fn result(id: u64) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"result\":{{}},\"id\":{id}}}")
}
