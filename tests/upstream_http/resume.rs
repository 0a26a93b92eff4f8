use crate::{find, modern, send, session, tool, transport, wire::Peer};
use futures_util::StreamExt;
use tower_mcp_gateway::{
    reply::{Event, Outcome},
    upstream::error::Closed,
};

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;

#[tokio::test]
async fn a_stream_the_server_closes_is_resumed_after_its_last_event() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &session(), tool());
    let mut first = peer.next().await;
    first.stream().await;
    first.send(format!("id: e-1\nretry: 1\ndata:\n\nid: e-2\ndata: {NOTE}\n\n")).await;
    let id = first.id();
    drop(first);
    let mut events = reply.await.unwrap().unwrap().into_events();
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));

    let outcome = tokio::spawn(async move { events.next().await });
    let mut again = peer.next().await;
    assert_eq!(again.line(), "GET /mcp?k=1 HTTP/1.1");
    assert_eq!(again.header("accept"), Some("text/event-stream"));
    assert_eq!(again.header("last-event-id"), Some("e-2"));
    assert_eq!(again.header("mcp-session-id"), Some("s-1"));
    again.stream().await;
    drop(again);
    let mut again = peer.next().await;
    assert_eq!(again.header("last-event-id"), Some("e-2"), "nothing came in between");
    again.stream().await;
    again.event(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)).await;
    assert!(matches!(outcome.await.unwrap(), Some(Ok(Event::Done(Outcome::Result(_))))));
}

#[tokio::test]
async fn resuming_ends_when_nothing_comes_of_it() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &session(), tool());
    let mut first = peer.next().await;
    first.stream().await;
    first.send("id: e-1\nretry: 1\ndata:\n\n").await;
    drop(first);
    let mut attempts = 0;
    let cancelled = loop {
        let mut request = peer.next().await;
        if request.line().starts_with("POST") {
            break request;
        }
        attempts += 1;
        request.stream().await;
    };
    assert_eq!(attempts, 10);
    assert_eq!(cancelled.json()["method"], "notifications/cancelled", "the server may still be at it");
    find::<Closed>(&reply.await.unwrap().unwrap_err());
}

#[tokio::test]
async fn a_server_that_refuses_to_resume_has_closed_the_call() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &session(), tool());
    let mut first = peer.next().await;
    first.stream().await;
    first.send("id: e-1\nretry: 1\ndata:\n\n").await;
    drop(first);
    peer.next().await.respond("405 Method Not Allowed", "", "").await;
    assert!(find::<Closed>(&reply.await.unwrap().unwrap_err()).sent);
}

#[tokio::test]
async fn a_modern_stream_is_never_resumed() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &modern(), tool());
    let mut first = peer.next().await;
    first.stream().await;
    first.send("id: e-1\nretry: 1\ndata:\n\n").await;
    drop(first);
    assert!(find::<Closed>(&reply.await.unwrap().unwrap_err()).sent);
    assert!(peer.waiting().is_none());
}
