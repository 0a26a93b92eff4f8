use crate::{
    at, find, legacy, modern, send, tool, transport,
    wire::{Kept, Peer},
};
use futures_util::StreamExt;
use tower_mcp_gateway::{
    error::{is_connection, never_sent},
    reply::Event,
    upstream::error::{Closed, Connect, TooLarge},
};

#[tokio::test]
async fn a_refused_connection_was_never_sent_and_is_told_without_the_address() {
    let kept = Kept::new();
    let http = at(&format!("http://{}/", kept.address()));
    let error = send(&http, &modern(), tool()).await.unwrap().unwrap_err();
    find::<Connect>(&error);
    assert!(never_sent(&*error) && is_connection(&*error));
    assert_eq!(http.fault().unwrap(), "the connection was refused");

    let mut peer = Peer::at(kept);
    let reply = send(&http, &modern(), tool());
    peer.next().await.result("{}").await;
    drop(reply.await.unwrap().unwrap());
    assert_eq!(http.fault(), None);
}

#[tokio::test]
async fn a_peer_that_breaks_off_may_have_executed_the_call() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for begun in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"jsonrpc\"",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: {}",
    ] {
        let reply = send(&http, &modern(), tool());
        let mut request = peer.next().await;
        request.send(begun).await;
        drop(request);
        let error = reply.await.unwrap().expect_err(begun);
        assert!(find::<Closed>(&error).sent, "{begun}");
        assert!(!never_sent(&*error));
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_after_a_note_ends_the_reply_with_an_error() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &modern(), tool());
    let mut request = peer.next().await;
    request.stream().await;
    request.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#).await;
    let mut events = reply.await.unwrap().unwrap().into_events();
    assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))));
    drop(request);
    let error = events.next().await.unwrap().unwrap_err();
    assert!(find::<Closed>(&error).sent);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_connection_the_server_closed_while_idle_is_not_used_again() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    for _ in 0..20 {
        let reply = send(&http, &modern(), tool());
        let mut request = peer.next().await;
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}", request.id());
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        request.send(head + &body).await;
        drop(reply.await.unwrap().unwrap());
        request.shut().await;
    }
}

#[tokio::test]
async fn a_message_above_the_limit_is_not_collected() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let much = "x".repeat(9 << 20);
    for begun in [
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\"",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: \"",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: ",
    ] {
        let reply = send(&http, &modern(), tool());
        let mut request = peer.next().await;
        request.send(begun).await;
        let flood = much.clone();
        let flooding = tokio::spawn(async move {
            request.try_send(flood).await;
            request.closed().await;
        });
        let error = reply.await.unwrap().expect_err(begun);
        assert_eq!(find::<TooLarge>(&error).limit, 8 << 20);
        flooding.await.unwrap();
    }
}

#[tokio::test]
async fn an_error_page_above_the_limit_is_still_a_status() {
    let mut peer = Peer::start().await;
    let http = transport(&peer);
    let reply = send(&http, &legacy(), tool());
    let mut request = peer.next().await;
    request.send("HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n").await;
    request.try_send("x".repeat(9 << 20)).await;
    let error = reply.await.unwrap().unwrap_err();
    assert_eq!(find::<tower_mcp_gateway::upstream::error::Status>(&error).0, 500);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_tls_handshake_that_is_never_answered_is_given_up_in_time() {
    let mut peer = Peer::start().await;
    let http = at(&peer.url("/").replace("http:", "https:"));
    let reply = send(&http, &modern(), tool());
    let error = reply.await.unwrap().unwrap_err();
    find::<Connect>(&error);
    // A machine may have no certificates to check the peer's with; then it is not even asked.
    let fault = http.fault().unwrap();
    assert!(fault == "no connection was made in time" || fault.starts_with("no certificates"), "{fault}");
    assert!(peer.waiting().is_none());
}
