//! HTTP+SSE, the transport of 2024-11-05.

use super::*;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tower_mcp_gateway::{BoxError, edge::EdgeLayer, error::Problem, reply::Event};

/// Opens a stream and gives it with the path to post to.
async fn connect(edge: &TestEdge, path: &str) -> (Reading, String) {
    let response = ask(edge, bare(Method::GET, path).with("accept", "text/event-stream")).await;
    assert_eq!(header_of(&response, "content-type"), Some("text/event-stream"));
    let mut body = Reading::of(response);
    let first = frame(&mut body).await.unwrap();
    let path = first.strip_prefix("event: endpoint\ndata: ").unwrap().trim_end().to_owned();
    (body, path)
}

fn to(path: &str, body: Value) -> Post {
    let mut request = post(body);
    *request.uri_mut() = path.parse().unwrap();
    request
}

fn call(path: &str, id: Value, method: &str) -> Post {
    to(path, json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"name": "n"}}))
}

/// Sends `initialize` and takes its answer off the stream.
async fn greet(edge: &TestEdge, behind: &mut Behind, body: &mut Reading, path: &str, version: &str) -> Value {
    let mut request = initialize(version, json!({}));
    *request.uri_mut() = path.parse().unwrap();
    let response = ask(edge, request).await;
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (202, ""));
    next(behind).await.1.send_response(discovered().into());
    message(&frame(body).await.unwrap())
}

#[tokio::test]
async fn the_endpoint_stands_beside_the_stream() {
    let (edge, _behind) = edge();
    for (path, messages) in [
        ("/sse", "/messages?sessionId="),
        ("/tools/sse", "/tools/messages?sessionId="),
        ("//evil.example/sse", "/evil.example/messages?sessionId="),
    ] {
        let (_, endpoint) = connect(&edge, path).await;
        assert!(endpoint.strip_prefix(messages).is_some_and(|id| id.len() >= 32), "{endpoint}");
    }
    let (edge, _behind) = edge_with(EdgeLayer::new().messages_path("/nested/post"));
    let (_body, endpoint) = connect(&edge, "/sse").await;
    assert!(endpoint.starts_with("/nested/post?sessionId="), "{endpoint}");
    // A router in front may have taken the prefix off.
    let stripped = endpoint.strip_prefix("/nested").unwrap();
    let early = ask(&edge, call(stripped, json!(1), "tools/list")).await;
    refused(early, 400, -32600, json!(1)).await;
}

#[tokio::test]
async fn answers_come_on_the_stream_in_the_order_in_which_they_are_done() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    let hello = greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    assert_eq!((&hello["id"], &hello["result"]["protocolVersion"]), (&json!(0), &json!("2024-11-05")));
    assert_eq!(ask(&edge, call(&path, json!("a"), "tools/call")).await.status(), 202);
    let first = next(&mut behind).await;
    assert_eq!(ask(&edge, call(&path, json!("b"), "tools/call")).await.status(), 202);
    let second = next(&mut behind).await;
    assert!(first.0.session.is_some());
    second.1.send_response(events(vec![Ok(progress(1)), Ok(Event::Done(result(json!({"n": 2}))))]));
    assert_eq!(message(&frame(&mut body).await.unwrap())["method"], "notifications/progress");
    let answer = message(&frame(&mut body).await.unwrap());
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": "b", "result": {"n": 2}}));
    first.1.send_error("cut");
    assert_eq!(message(&frame(&mut body).await.unwrap())["id"], "a");
    ask(&edge, call(&path, json!(3), "ping")).await;
    assert_eq!(message(&frame(&mut body).await.unwrap())["result"], json!({}));
}

#[tokio::test]
async fn a_client_may_greet_only_once_and_must_greet_first() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    refused(ask(&edge, call(&path, json!(1), "tools/list")).await, 400, -32600, json!(1)).await;
    let hello = greet(&edge, &mut behind, &mut body, &path, "2026-07-28").await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
    let again = greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    assert_eq!(again["error"]["code"], -32600);
}

#[tokio::test]
async fn the_session_and_its_calls_end_with_the_stream() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    ask(&edge, call(&path, json!(1), "tools/call")).await;
    let (reply, dropped) = endless(vec![progress(1)]);
    let (call_behind, respond) = next(&mut behind).await;
    respond.send_response(reply);
    frame(&mut body).await.unwrap();
    assert_eq!(edge.sessions(), 1);
    drop(body);
    dropped.await;
    call_behind.session.clone().unwrap().closed().await;
    assert_eq!(edge.sessions(), 0);
    refused(ask(&edge, call(&path, json!(2), "ping")).await, 404, 404, json!(2)).await;
}

#[tokio::test]
async fn questions_and_updates_come_on_the_stream() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    ask(&edge, call(&path, json!(1), "tools/call")).await;
    next(&mut behind).await.1.send_response(super::questions::asking("roots/list", json!({})));
    let asked = said(&mut body).await.unwrap();
    assert_eq!(asked["method"], "roots/list");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}});
    assert_eq!(ask(&edge, to(&path, answer)).await.status(), 202);
    assert_eq!(said(&mut body).await.unwrap()["result"]["answer"]["told"], json!({"roots": []}));
    ask(&edge, to(&path, json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))).await;
    let acknowledged = |uris: Value| {
        let honoured = json!({"notifications": {"resourceSubscriptions": uris}});
        note("notifications/subscriptions/acknowledged", honoured)
    };
    next(&mut behind).await.1.send_response(endless(vec![acknowledged(json!([]))]).0);
    let subscribe = json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": "a"}});
    ask(&edge, to(&path, subscribe)).await;
    let (_, respond) = next(&mut behind).await;
    let updated = note("notifications/resources/updated", json!({"uri": "a"}));
    respond.send_response(endless(vec![acknowledged(json!(["a"])), updated]).0);
    let mut seen = [said(&mut body).await.unwrap(), said(&mut body).await.unwrap()];
    seen.sort_by_key(|message| message["id"].is_null());
    assert_eq!(seen[0], json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    assert_eq!(seen[1]["params"]["uri"], "a");
}

#[tokio::test]
async fn a_call_is_cancelled_by_its_notification() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    ask(&edge, call(&path, json!(1), "tools/call")).await;
    let (reply, dropped) = endless(vec![]);
    next(&mut behind).await.1.send_response(reply);
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(ask(&edge, to(&path, cancelled)).await.status(), 202);
    dropped.await;
    ask(&edge, call(&path, json!(2), "ping")).await;
    assert_eq!(message(&frame(&mut body).await.unwrap())["id"], 2);
}

#[tokio::test]
async fn changed_lists_are_told_on_the_stream() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    let initialized = || to(&path, json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(ask(&edge, initialized()).await.status(), 202);
    let (call, respond) = next(&mut behind).await;
    assert_eq!(call.method.as_str(), "subscriptions/listen");
    let acknowledged = note("notifications/subscriptions/acknowledged", json!({}));
    let (reply, dropped) = endless(vec![acknowledged, note("notifications/prompts/list_changed", json!({}))]);
    respond.send_response(reply);
    assert_eq!(message(&frame(&mut body).await.unwrap())["method"], "notifications/prompts/list_changed");
    assert_eq!(ask(&edge, initialized()).await.status(), 202);
    drop(body);
    dropped.await;
}

/// What comes within two minutes: keep-alives would go on for ever.
async fn soon<T>(it: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(120), it).await.expect("nothing came")
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_listening_fails_listens_again_until_it_hears() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    let initialized = || to(&path, json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    ask(&edge, initialized()).await;
    let full = || Problem::new(503, "too_many_streams", "full").with_retry_after(Duration::from_secs(30));
    let (_, mut respond) = soon(next(&mut behind)).await;
    for (why, waits) in [(BoxError::from("cut"), 1), ("cut".into(), 2), (full().into(), 30), ("cut".into(), 8)] {
        respond.send_error(why);
        let refused = Instant::now();
        assert_eq!(ask(&edge, initialized()).await.status(), 202, "it is tried by one alone");
        let (call, again) = soon(next(&mut behind)).await;
        assert_eq!((call.method.as_str(), refused.elapsed().as_secs()), ("subscriptions/listen", waits));
        respond = again;
    }
    let acknowledged = |uris: Value| {
        let honoured = json!({"notifications": {"resourceSubscriptions": uris}});
        note("notifications/subscriptions/acknowledged", honoured)
    };
    let changed = || note("notifications/tools/list_changed", json!({}));
    respond.send_response(events(vec![Ok(acknowledged(json!([]))), Ok(changed()), Err("cut".into())]));
    assert_eq!(soon(said(&mut body)).await.unwrap()["method"], "notifications/tools/list_changed");
    let heard = Instant::now();
    let (_, respond) = soon(next(&mut behind)).await;
    assert_eq!(heard.elapsed().as_secs(), 1, "the pause is that of the beginning once something was heard");
    respond.send_response(error(json!({"code": -32601, "message": ""})).into());
    let subscribed = Instant::now();
    let subscribe = json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": "a"}});
    ask(&edge, to(&path, subscribe)).await;
    let updated = note("notifications/resources/updated", json!({"uri": "a"}));
    let (reply, dropped) = endless(vec![acknowledged(json!(["a"])), updated]);
    soon(next(&mut behind)).await.1.send_response(reply);
    let mut seen = [soon(said(&mut body)).await.unwrap(), soon(said(&mut body)).await.unwrap()];
    seen.sort_by_key(|message| message["id"].is_null());
    assert_eq!((&seen[0]["result"], &seen[1]["params"]["uri"]), (&json!({}), &json!("a")));
    assert_eq!(subscribed.elapsed().as_secs(), 0);
    drop(body);
    dropped.await;
}

#[tokio::test]
async fn a_client_that_never_reads_stops_itself() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    let mut taken = 0;
    loop {
        match ask(&edge, call(&path, json!(taken), "ping")).await.status().as_u16() {
            202 => taken += 1,
            status => break assert_eq!(status, 503),
        }
        tokio::task::yield_now().await;
        assert!(taken < 1000, "nothing stopped it");
    }
    assert!(taken >= 256);
    for _ in 0..taken {
        assert!(message(&frame(&mut body).await.unwrap())["result"].is_object());
    }
    assert_eq!(ask(&edge, call(&path, json!("after"), "ping")).await.status(), 202);
    assert_eq!(message(&frame(&mut body).await.unwrap())["id"], "after");
}

#[tokio::test]
async fn an_answer_that_a_slow_client_has_no_room_for_stays_with_its_call() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    let permit = Arc::new(());
    let mut calls = Vec::new();
    for (id, length) in [("large", 2 << 20), ("next", 1)] {
        ask(&edge, call(&path, json!(id), "tools/call")).await;
        calls.push((next(&mut behind).await.1, length));
    }
    for (respond, length) in calls {
        let answer = result(json!({"text": "x".repeat(length)}));
        respond.send_response(events(vec![Ok(Event::Done(answer))]).hold(permit.clone()));
        // All there is to do for it, on the one thread of this test.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(Arc::strong_count(&permit), 2, "the next one is in flight, as long as the large one has not been read");
    assert_eq!(message(&frame(&mut body).await.unwrap())["id"], "large");
    assert_eq!(message(&frame(&mut body).await.unwrap())["id"], "next");
    assert_eq!(Arc::strong_count(&permit), 1);
}

#[tokio::test]
async fn the_two_transports_do_not_share_session_ids() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    let id = path.split_once('=').unwrap().1;
    refused(ask(&edge, request(id, json!(1), "ping", json!({}))).await, 404, 404, json!(1)).await;
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let crossed = call(&format!("/messages?sessionId={session}"), json!(1), "ping");
    refused(ask(&edge, crossed).await, 404, 404, json!(1)).await;
}

#[tokio::test]
async fn the_stream_is_one_of_the_sessions_there_may_be() {
    let (edge, _behind) = edge_with(EdgeLayer::new().max_sessions(1));
    let (body, _) = connect(&edge, "/sse").await;
    refused(ask(&edge, bare(Method::GET, "/sse")).await, 503, 503, Value::Null).await;
    drop(body);
    connect(&edge, "/sse").await;
}

#[tokio::test]
async fn closing_the_gateway_ends_the_stream() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2024-11-05").await;
    edge.close_sessions();
    assert!(frame(&mut body).await.is_none());
}

#[tokio::test]
async fn what_is_wrong_with_one_message_of_a_batch_is_its_answer_and_the_others_go_on() {
    let (edge, mut behind) = edge();
    let (mut body, path) = connect(&edge, "/sse").await;
    greet(&edge, &mut behind, &mut body, &path, "2025-03-26").await;
    let one = |id: Value, method: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"name": "n"}});
    let batch = json!([
        one(json!(1), json!("tools/call")),
        one(json!(1), json!("tools/call")),
        {"jsonrpc": "2.0", "id": 2, "method": 5},
        one(json!(3), json!("tools/call")),
    ]);
    assert_eq!(ask(&edge, to(&path, batch)).await.status(), 202);
    for (id, code) in [(json!(1), -32600), (json!(2), -32600)] {
        let refused = said(&mut body).await.unwrap();
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&id, &json!(code)));
    }
    for id in [1, 3] {
        next(&mut behind).await.1.send_response(result(json!({"n": id})).into());
        assert_eq!(said(&mut body).await.unwrap(), json!({"jsonrpc": "2.0", "id": id, "result": {"n": id}}));
    }
    let flood: Vec<Value> = (0..65).map(|id| one(json!(id), json!("ping"))).collect();
    refused(ask(&edge, to(&path, json!(flood))).await, 400, -32600, Value::Null).await;
}
