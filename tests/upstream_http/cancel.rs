use crate::{call, legacy, modern, send, session, tool, transport, wire::Peer};
use futures_util::StreamExt;
use serde_json::json;
use tower_mcp_gateway::{Method, reply::Event, upstream::Hop};

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;

#[tokio::test]
async fn dropping_a_pending_call_tells_a_legacy_server() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &session(), tool());
    let mut request = peer.next().await;
    reply.abort();
    request.closed().await;
    let cancelled = peer.next().await;
    assert_eq!(cancelled.json()["method"], "notifications/cancelled");
    assert_eq!(cancelled.json()["params"]["requestId"], request.id());
    assert_eq!(cancelled.header("mcp-session-id"), Some("s-1"));
    cancelled.accept().await;
}

#[tokio::test]
async fn dropping_a_streaming_reply_tells_a_legacy_server() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &legacy(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.event(NOTE).await;
    drop(reply.await.unwrap().unwrap());
    request.closed().await;
    let cancelled = peer.next().await;
    assert_eq!(cancelled.json()["params"]["requestId"], request.id());
}

#[tokio::test]
async fn dropping_a_modern_call_closes_the_response_and_says_nothing() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let pending = send(&http, &modern(), tool());
    let mut request = peer.next().await;
    pending.abort();
    request.closed().await;

    let streaming = send(&http, &modern(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.event(NOTE).await;
    drop(streaming.await.unwrap().unwrap());
    request.closed().await;
    nothing_more(peer, &http).await;
}

/// While its connection is made, a server knows of no call: the handshake of TLS is waited for here.
#[cfg(feature = "tls")]
#[tokio::test]
async fn a_call_that_never_left_is_not_cancelled() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = crate::at(&format!("https://{address}/mcp"));
    let reply = send(&http, &session(), tool());
    let (connecting, _) = listener.accept().await.unwrap();
    reply.abort();
    assert!(reply.await.unwrap_err().is_cancelled());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let own = tokio::net::TcpStream::connect(address).await.unwrap();
    let (_, next) = listener.accept().await.unwrap();
    assert_eq!(next, own.local_addr().unwrap(), "nothing was sent in between");
    drop(connecting);
}

#[tokio::test]
async fn initialize_is_never_cancelled() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &Hop::new(None, 1).into(), call(Method::INITIALIZE, json!({})));
    let mut request = peer.next().await;
    reply.abort();
    request.closed().await;
    nothing_more(peer, &http).await;
}

#[tokio::test]
async fn what_was_answered_is_not_cancelled() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &legacy(), tool());
    peer.next().await.result("{}").await;
    drop(reply.await.unwrap().unwrap());

    let reply = send(&http, &legacy(), tool());
    peer.next().await.respond("500 Oops", "", "").await;
    drop(reply.await.unwrap().unwrap_err());

    let reply = send(&http, &legacy(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.event(NOTE).await;
    request.event(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id())).await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    while !matches!(events.next().await.unwrap().unwrap(), Event::Done(_)) {}
    drop(events);
    nothing_more(peer, &http).await;
}

/// The next request is one the test sends itself.
async fn nothing_more(mut peer: Peer, http: &tower_mcp_gateway::upstream::http::Http) {
    let reply = send(http, &modern(), call(Method::PING, json!({})));
    let request = peer.next().await;
    assert_eq!(request.json()["method"], "ping");
    request.result("{}").await;
    drop(reply.await.unwrap().unwrap());
    assert!(peer.waiting().is_none());
}

#[tokio::test]
async fn of_many_calls_dropped_at_once_each_is_cancelled() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let pending: Vec<_> = (0..64).map(|_| send(&http, &session(), tool())).collect();
    let mut open = std::collections::HashMap::new();
    for _ in 0..64 {
        let request = peer.next().await;
        open.insert(request.id(), request);
    }
    pending.iter().for_each(tokio::task::JoinHandle::abort);
    for _ in 0..64 {
        let cancelled = peer.next().await;
        let id = cancelled.json()["params"]["requestId"].as_u64().unwrap();
        assert!(open.remove(&id).is_some(), "{id} is cancelled once");
        cancelled.accept().await;
    }
}
