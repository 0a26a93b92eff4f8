use crate::{
    call, find, modern, send, session, transport,
    wire::{Peer, Request},
};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tower_mcp_gateway::{
    Call, Method,
    reply::{Event, Events, Outcome},
    upstream::{
        OfClient,
        error::{SessionLost, SessionRefused, Status},
    },
};

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

fn listen() -> Call {
    call(Method::LISTEN, json!({"notifications": {"toolsListChanged": true}}))
}

/// A listener whose stream is open.
async fn open(peer: &mut Peer) -> (Request, Events) {
    let reply = send(&transport(peer), &session(), listen());
    let mut request = peer.next().await;
    request.stream().await;
    (request, reply.await.unwrap().unwrap().into_events())
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
    let (mut request, mut events) = open(&mut peer).await;
    let heard = tokio::spawn(async move { (note(&mut events).await, events) });
    assert_eq!(request.line(), "GET /mcp?k=1 HTTP/1.1");
    assert_eq!(request.header("mcp-session-id"), Some("s-1"));
    assert_eq!(request.header("authorization"), Some("Bearer own"));
    request.event(CHANGED).await;
    let (method, events) = heard.await.unwrap();
    assert_eq!(method, Method::TOOLS_LIST_CHANGED);
    drop(events);
    request.closed().await;
    assert!(peer.waiting().is_none());
}

#[tokio::test]
async fn after_a_cut_every_list_and_resource_may_have_changed() {
    let mut peer = Peer::start().await;
    let (told, all) = tokio::sync::oneshot::channel();
    let mut told = Some(told);
    let (first, mut events) = open(&mut peer).await;
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        for _ in 0..5 {
            heard.push(note(&mut events).await);
            if heard.len() == 4 {
                told.take().unwrap().send(()).unwrap();
            }
        }
        heard
    });
    drop(first);
    peer.next().await.respond("503 Service Unavailable", "", "").await;
    let mut second = peer.next().await;
    second.stream().await;
    all.await.unwrap();
    second.event(CHANGED).await;
    let lists = [Method::TOOLS_LIST_CHANGED, Method::PROMPTS_LIST_CHANGED, Method::RESOURCES_LIST_CHANGED];
    let heard = heard.await.unwrap();
    assert_eq!(heard[..3], lists);
    assert_eq!(heard[3..], [Method::RESOURCES_UPDATED, Method::TOOLS_LIST_CHANGED]);
}

#[tokio::test]
async fn a_stream_with_event_ids_goes_on_where_it_was() {
    let mut peer = Peer::start().await;
    let (mut first, mut events) = open(&mut peer).await;
    let heard = tokio::spawn(async move { (note(&mut events).await, events.next().now_or_never().is_none()) });
    first.send("id: 4\nretry: 1\ndata:\n\n").await;
    drop(first);
    let mut second = peer.next().await;
    assert_eq!(second.header("last-event-id"), Some("4"));
    second.stream().await;
    second.event(CHANGED).await;
    assert_eq!(heard.await.unwrap(), (Method::TOOLS_LIST_CHANGED, true));
}

#[tokio::test]
async fn a_server_without_the_stream_is_said_to_have_none_and_not_asked_again() {
    for status in ["405 Method Not Allowed", "404 Not Found", "400 Bad Request", "200 OK"] {
        let mut peer = Peer::start().await;
        let (http, hop) = (transport(&peer), session());
        let reply = send(&http, &hop, listen());
        peer.next().await.respond(status, "content-type: text/html\r\n", "").await;
        find::<Status>(&reply.await.unwrap().unwrap_err());
        find::<Status>(&send(&http, &hop, listen()).await.unwrap().unwrap_err());
        assert!(peer.waiting().is_none(), "{status}");
    }
}

#[tokio::test]
async fn listeners_share_one_stream_with_each_other_and_with_calls() {
    let mut peer = Peer::start().await;
    let (http, hop) = (transport(&peer), session());
    let first = send(&http, &hop, listen());
    let mut stream = peer.next().await;
    stream.stream().await;
    let mut first = first.await.unwrap().unwrap().into_events();
    let mut second = send(&http, &hop, listen()).await.unwrap().unwrap().into_events();
    let mut call = crate::tool();
    call.extensions.insert(OfClient { alone: true, hears: true });
    let reply = send(&http, &hop, call);
    let request = peer.next().await;
    assert!(request.line().starts_with("POST"));
    request.result("{}").await;
    drop(reply.await.unwrap().unwrap());
    stream.event(CHANGED).await;
    for events in [&mut first, &mut second] {
        assert_eq!(note(events).await, Method::TOOLS_LIST_CHANGED);
    }
    assert!(peer.waiting().is_none(), "no other GET");
}

#[tokio::test]
async fn a_stream_that_is_not_found_again_was_of_a_lost_session() {
    let mut peer = Peer::start().await;
    let (first, mut events) = open(&mut peer).await;
    let heard = tokio::spawn(async move { events.next().await.unwrap() });
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

#[tokio::test]
async fn a_stream_that_is_refused_again_may_have_been_of_a_lost_session() {
    let mut peer = Peer::start().await;
    // Kept, so that there is another reason for the end than that nobody uses the server.
    let http = transport(&peer);
    let reply = send(&http, &session(), listen());
    let mut first = peer.next().await;
    first.stream().await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    let heard = tokio::spawn(async move { events.next().await.unwrap() });
    drop(first);
    peer.next().await.respond("400 Bad Request", "", "").await;
    find::<SessionRefused>(&heard.await.unwrap().unwrap_err());
}
