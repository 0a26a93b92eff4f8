use crate::{call, find, modern, send, session, transport, wire::Peer};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tower_mcp_gateway::{
    Method,
    reply::{Event, Events, Outcome},
    upstream::error::SessionLost,
};

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

async fn listen(peer: &Peer) -> Events {
    let listen = call(Method::LISTEN, json!({"notifications": {"toolsListChanged": true}}));
    send(&transport(peer), &session(), listen).await.unwrap().unwrap().into_events()
}

async fn note(events: &mut Events) -> Method {
    match events.next().await {
        Some(Ok(Event::Note(note))) => note.method,
        other => panic!("no note but {other:?}"),
    }
}

#[tokio::test]
async fn the_get_stream_is_heard_and_closed_with_the_reply() {
    let mut peer = Peer::start().await;
    let mut events = listen(&peer).await;
    let heard = tokio::spawn(async move { (note(&mut events).await, events) });
    let mut request = peer.next().await;
    assert_eq!(request.line(), "GET /mcp?k=1 HTTP/1.1");
    assert_eq!(request.header("mcp-session-id"), Some("s-1"));
    assert_eq!(request.header("authorization"), Some("Bearer own"));
    request.stream().await;
    request.event(CHANGED).await;
    let (method, events) = heard.await.unwrap();
    assert_eq!(method, Method::TOOLS_LIST_CHANGED);
    drop(events);
    request.closed().await;
    assert!(peer.waiting().is_none());
}

#[tokio::test]
async fn after_a_cut_every_list_may_have_changed() {
    let mut peer = Peer::start().await;
    let mut events = listen(&peer).await;
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(note(&mut events).await);
        }
        heard
    });
    let mut first = peer.next().await;
    first.stream().await;
    drop(first);
    peer.next().await.respond("503 Service Unavailable", "", "").await;
    let mut second = peer.next().await;
    second.stream().await;
    second.event(CHANGED).await;
    let lists = [Method::TOOLS_LIST_CHANGED, Method::PROMPTS_LIST_CHANGED, Method::RESOURCES_LIST_CHANGED];
    let heard = heard.await.unwrap();
    assert_eq!(heard[..3], lists);
    assert_eq!(heard[3], Method::TOOLS_LIST_CHANGED);
}

#[tokio::test]
async fn a_stream_with_event_ids_goes_on_where_it_was() {
    let mut peer = Peer::start().await;
    let mut events = listen(&peer).await;
    let heard = tokio::spawn(async move { (note(&mut events).await, events.next().now_or_never().is_none()) });
    let mut first = peer.next().await;
    first.stream().await;
    first.send("id: 4\nretry: 1\ndata:\n\n").await;
    drop(first);
    let mut second = peer.next().await;
    assert_eq!(second.header("last-event-id"), Some("4"));
    second.stream().await;
    second.event(CHANGED).await;
    assert_eq!(heard.await.unwrap(), (Method::TOOLS_LIST_CHANGED, true));
}

#[tokio::test]
async fn a_server_without_the_stream_has_nothing_to_say() {
    for status in ["405 Method Not Allowed", "404 Not Found", "400 Bad Request", "200 OK"] {
        let mut peer = Peer::start().await;
        let mut events = listen(&peer).await;
        let heard = tokio::spawn(async move { events.next().await.map(|event| format!("{event:?}")) });
        peer.next().await.respond(status, "content-type: text/html\r\n", "").await;
        let another = crate::send(&transport(&peer), &modern(), crate::tool());
        peer.next().await.result("{}").await;
        drop(another.await.unwrap().unwrap());
        assert!(!heard.is_finished(), "{status}");
        heard.abort();
    }
}

#[tokio::test]
async fn a_stream_that_is_not_found_again_was_of_a_lost_session() {
    let mut peer = Peer::start().await;
    let mut events = listen(&peer).await;
    let heard = tokio::spawn(async move { events.next().await.unwrap() });
    let mut first = peer.next().await;
    first.stream().await;
    drop(first);
    peer.next().await.respond("404 Not Found", "", "").await;
    find::<SessionLost>(&heard.await.unwrap().unwrap_err());
}

#[tokio::test]
async fn a_modern_subscription_is_a_call_like_any_other() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &modern(), call(Method::LISTEN, json!({"notifications": {}})));
    let mut request = peer.next().await;
    assert_eq!(request.header("mcp-method"), Some("subscriptions/listen"));
    request.stream().await;
    request.event(CHANGED).await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    assert_eq!(note(&mut events).await, Method::TOOLS_LIST_CHANGED);
    request.event(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled"}).to_string()).await;
    assert!(matches!(events.next().await, Some(Ok(Event::Done(Outcome::Result(_))))));
}
