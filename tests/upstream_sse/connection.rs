use crate::{
    at, find, hop, result, send, stream, tool, transport,
    wire::{Kept, Peer},
};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tower_mcp_gateway::{
    Revision,
    error::never_sent,
    upstream::{
        Hop, Transport,
        error::{Closed, Connect, Replaced},
    },
};

#[tokio::test]
async fn the_stream_is_found_below_a_base_that_answers_something_else() {
    for (status, kind) in [
        ("200 OK", "content-type: application/json\r\n"),
        ("200 OK", "content-type: text/html\r\n"),
        ("404 Not Found", ""),
        ("405 Method Not Allowed", ""),
    ] {
        let mut peer = Peer::start().await;
        let (sse, _server) = at(&peer.url(""));
        let base = peer.next().await;
        assert_eq!(base.line(), "GET / HTTP/1.1");
        base.respond(status, kind, "{\"status\":\"ok\"}").await;
        let first = stream(&mut peer, "/message").await;
        assert_eq!(first.line(), "GET /sse HTTP/1.1", "{status}");
        hop(&sse).await;
        drop(first);
        let second = stream(&mut peer, "/message").await;
        assert_eq!(second.line(), "GET /sse HTTP/1.1", "the base is not asked again");
    }
}

#[tokio::test]
async fn calls_fail_with_the_stream_and_those_of_its_hop_are_not_sent_on_the_next() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let first = stream(&mut peer, "/message").await;
    let old = hop(&sse).await;
    assert_eq!((old.epoch, sse.epoch()), (1, 1));
    let calls: Vec<_> = (0..3).map(|_| send(&sse, &old, tool())).collect();
    for _ in 0..3 {
        peer.next().await.accept().await;
    }
    drop(first);
    for call in calls {
        assert!(find::<Closed>(&call.await.unwrap().unwrap_err()).sent);
    }
    let _second = stream(&mut peer, "/message").await;
    assert_eq!(sse.connected().await.unwrap(), 2);
    assert_eq!(sse.fault(), None);
    let error = send(&sse, &old, tool()).await.unwrap().unwrap_err();
    find::<Replaced>(&error);
    assert!(never_sent(&*error));
}

#[tokio::test]
async fn an_endpoint_of_another_origin_gets_nothing() {
    let mut peer = Peer::start().await;
    let mut other = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut refused = stream(&mut peer, &other.url("/message")).await;
    refused.closed().await;
    let mut refused = stream(&mut peer, "http://127.0.0.1:1/message").await;
    let error = sse.connected().await.unwrap_err();
    refused.closed().await;
    find::<Connect>(&error);
    assert!(sse.fault().unwrap().contains("another origin"), "{:?}", sse.fault());
    assert!(other.waiting().is_none());
}

#[tokio::test]
async fn a_server_that_is_down_at_start_is_found_when_it_comes() {
    let kept = Kept::new();
    let (sse, _server) = at(&format!("http://{}/sse", kept.address()));
    for _ in 0..3 {
        let begun = Instant::now();
        let error = send(&sse, &Hop::new(None, 0).into(), tool()).await.unwrap().unwrap_err();
        find::<Connect>(&error);
        assert!(begun.elapsed() < Duration::from_secs(1), "a call does not wait out its patience");
    }
    assert_eq!(sse.fault().unwrap(), "the connection was refused");
    assert_eq!(sse.epoch(), 0);

    let mut peer = Peer::at(kept);
    let _stream = timeout(Duration::from_secs(5), stream(&mut peer, "/message")).await.expect("back within 5 s");
    assert_eq!(sse.connected().await.unwrap(), 1);
}

#[tokio::test]
async fn a_call_waits_for_the_attempt_under_way() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut slow = peer.next().await;
    let waiting = send(&sse, &Hop::new(Some(Revision::V2024_11_05), 1).into(), tool());
    slow.stream().await;
    slow.send("event: endpoint\ndata: /message\n\n").await;
    let post = peer.next().await;
    slow.event(&result(post.id())).await;
    drop(waiting.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_stream_without_an_endpoint_holds_a_call_no_longer_than_a_connection_may_take() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let mut silent = peer.next().await;
    silent.stream().await;
    let error = timeout(Duration::from_secs(4), sse.connected()).await.unwrap().unwrap_err();
    find::<Connect>(&error);
}

#[tokio::test]
async fn the_stream_is_closed_when_the_service_and_its_calls_are_gone() {
    let mut peer = Peer::start().await;
    let (sse, server) = transport(&peer);
    let mut open = stream(&mut peer, "/message").await;
    let hop = hop(&sse).await;
    let pending = send(&sse, &hop, tool());
    let post = peer.next().await;
    drop(sse);
    open.event(&result(post.id())).await;
    drop(pending.await.unwrap().expect("a call in flight keeps the stream"));
    drop(post);
    open.closed().await;
    server.tasks().close();
    timeout(Duration::from_secs(5), server.tasks().wait()).await.expect("the driver ends");
}

#[tokio::test]
async fn a_driver_that_waits_to_connect_ends_as_well() {
    let kept = Kept::new();
    let (sse, server) = at(&format!("http://{}/sse", kept.address()));
    sse.connected().await.unwrap_err();
    drop(sse);
    server.tasks().close();
    timeout(Duration::from_secs(5), server.tasks().wait()).await.expect("the driver ends");
}

#[tokio::test]
async fn a_dead_server_fails_calls_without_a_wait_and_returns() {
    let mut peer = Peer::start().await;
    let (sse, _server) = transport(&peer);
    let first = stream(&mut peer, "/message").await;
    let old = hop(&sse).await;
    let kept = peer.stop().await;
    drop(first);
    let begun = Instant::now();
    loop {
        let error = send(&sse, &old, tool()).await.unwrap().unwrap_err();
        if tower_mcp_gateway::error::find::<Connect>(&*error).is_some() && sse.fault().is_some() {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    let mut peer = Peer::at(kept);
    let _second = timeout(Duration::from_secs(5), stream(&mut peer, "/message")).await.expect("back within 5 s");
    assert_eq!(sse.connected().await.unwrap(), 2);
}
