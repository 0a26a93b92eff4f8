//! Subscriptions to single resources.

use super::*;
use futures_util::FutureExt;
use tower_mcp_gateway::{BoxError, Reply, error::Problem, reply::Event};

fn subscribe(session: &str, uri: &str) -> Post {
    request(session, json!("s"), "resources/subscribe", json!({"uri": uri}))
}

fn unsubscribe(session: &str, uri: &str) -> Post {
    request(session, json!("u"), "resources/unsubscribe", json!({"uri": uri}))
}

fn acknowledged(uris: &[&str]) -> Event {
    note("notifications/subscriptions/acknowledged", json!({"notifications": {"resourceSubscriptions": uris}}))
}

fn updated(uri: &str) -> Event {
    note("notifications/resources/updated", json!({"uri": uri}))
}

fn wished(call: &Call) -> Value {
    assert_eq!(call.method.as_str(), "subscriptions/listen");
    serde_json::from_str::<Value>(call.params.as_str()).unwrap()["notifications"]["resourceSubscriptions"].clone()
}

#[tokio::test]
async fn a_subscription_waits_for_the_stream_and_then_speaks_on_it() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, dropped) = endless(vec![acknowledged(&["a"]), updated("a")]);
    let (call, response) = through(&edge, &mut behind, subscribe(&session, "a"), reply).await;
    assert_eq!(wished(&call), json!(["a"]));
    assert!(call.params.member("notifications").unwrap().member("toolsListChanged").is_some());
    assert_eq!(value(response).await, json!({"jsonrpc": "2.0", "id": "s", "result": {}}));
    assert_eq!(value(ask(&edge, subscribe(&session, "a")).await).await["result"], json!({}), "twice is once");
    let mut body = Reading::of(ask(&edge, get(&session)).await);
    let note = said(&mut body).await.unwrap();
    assert_eq!((&note["method"], &note["params"]["uri"]), (&json!("notifications/resources/updated"), &json!("a")));
    drop(body);
    // Without a stream the subscription stays, and ends with its last resource.
    let mut dropped = Box::pin(dropped);
    assert!(dropped.as_mut().now_or_never().is_none());
    assert_eq!(value(ask(&edge, unsubscribe(&session, "a")).await).await["result"], json!({}));
    dropped.await;
    assert_eq!(value(ask(&edge, unsubscribe(&session, "a")).await).await["result"], json!({}));
}

#[tokio::test]
async fn the_new_subscription_stands_before_the_old_one_goes() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, first) = endless(vec![acknowledged(&[])]);
    let (_, response) = through(&edge, &mut behind, get(&session), reply).await;
    let mut body = Reading::of(response);
    let mut first = Box::pin(first);
    let answering = start(&edge, subscribe(&session, "a"));
    let (call, respond) = next(&mut behind).await;
    assert_eq!(wished(&call), json!(["a"]));
    assert!(first.as_mut().now_or_never().is_none());
    let (reply, second) = endless(vec![acknowledged(&["a"]), updated("a")]);
    respond.send_response(reply);
    assert_eq!(value(answering.await.unwrap()).await["result"], json!({}));
    first.await;
    assert_eq!(said(&mut body).await.unwrap()["params"]["uri"], "a");
    let (reply, third) = endless(vec![acknowledged(&["a", "b"]), updated("b")]);
    let (call, _) = through(&edge, &mut behind, subscribe(&session, "b"), reply).await;
    assert_eq!(wished(&call), json!(["a", "b"]));
    second.await;
    assert_eq!(said(&mut body).await.unwrap()["params"]["uri"], "b");
    let (reply, fourth) = endless(vec![acknowledged(&["b"])]);
    let (call, _) = through(&edge, &mut behind, unsubscribe(&session, "a"), reply).await;
    assert_eq!(wished(&call), json!(["b"]));
    third.await;
    ask(&edge, delete(&session)).await;
    fourth.await;
    assert_eq!(said(&mut body).await, None);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_an_error_and_changes_nothing() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, kept) = endless(vec![acknowledged(&["a"]), updated("a")]);
    through(&edge, &mut behind, subscribe(&session, "a"), reply).await;
    let (reply, refused_one) = endless(vec![acknowledged(&["a"])]);
    let (_, response) = through(&edge, &mut behind, subscribe(&session, "b"), reply).await;
    assert_eq!(refused(response, 200, -32602, json!("s")).await["error"]["data"]["uri"], "b");
    refused_one.await;
    let unknown = error(json!({"code": -32601, "message": "?"}));
    let (_, response) = through(&edge, &mut behind, subscribe(&session, "c"), unknown).await;
    refused(response, 200, -32601, json!("s")).await;
    let answering = start(&edge, subscribe(&session, "d"));
    next(&mut behind).await.1.send_error(BoxError::from(Problem::new(503, "full", "later")));
    refused(answering.await.unwrap(), 200, 503, json!("s")).await;
    for bad in [json!({}), json!({"uri": 7})] {
        let response = ask(&edge, request(&session, json!(1), "resources/subscribe", bad)).await;
        refused(response, 200, -32602, json!(1)).await;
    }
    assert!(kept.now_or_never().is_none());
    let mut body = Reading::of(ask(&edge, get(&session)).await);
    assert_eq!(said(&mut body).await.unwrap()["params"]["uri"], "a");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_taken_back_or_never_acknowledged_leaves_nothing() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (answering, _, respond) = called(&edge, &mut behind, subscribe(&session, "a")).await;
    ask(&edge, told(&session, "notifications/cancelled", json!({"requestId": "s"}))).await;
    assert_eq!(answering.await.unwrap().status(), 202);
    let (reply, dropped) = endless(vec![acknowledged(&["a"])]);
    respond.send_response(reply);
    dropped.await;
    let (reply, dropped) = endless(vec![]);
    let (_, response) = through(&edge, &mut behind, subscribe(&session, "a"), reply).await;
    let text = text(response).await;
    assert!(text.contains("504"), "{text}");
    dropped.await;
}

#[tokio::test]
async fn a_session_subscribes_to_a_bounded_number_of_resources() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for n in 0..256 {
        let uri = format!("r://{n}");
        let (call, response) =
            through(&edge, &mut behind, subscribe(&session, &uri), endless(vec![acknowledged(&[&uri])]).0).await;
        assert_eq!(wished(&call).as_array().unwrap().len(), n + 1);
        assert_eq!(value(response).await["result"], json!({}));
    }
    refused(ask(&edge, subscribe(&session, "r://256")).await, 200, 503, json!("s")).await;
    ask(&edge, delete(&session)).await;
    let session = open(&edge, &mut behind, "2025-11-25").await;
    refused(ask(&edge, subscribe(&session, &"x".repeat(3000))).await, 200, 503, json!("s")).await;
}

#[tokio::test]
async fn requests_at_once_wait_for_each_other_and_none_is_lost() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let requests: Vec<_> = (0..50)
        .map(|n| {
            let uri = format!("r://{n}");
            start(&edge, request(&session, json!(n), "resources/subscribe", json!({"uri": uri})))
        })
        .collect();
    for n in 1..=50 {
        let (call, respond) = next(&mut behind).await;
        let wished = wished(&call);
        assert_eq!(wished.as_array().unwrap().len(), n);
        let honoured = json!({"notifications": {"resourceSubscriptions": wished}});
        let reply: Reply = endless(vec![note("notifications/subscriptions/acknowledged", honoured)]).0;
        respond.send_response(reply);
    }
    for request in requests {
        assert_eq!(value(request.await.unwrap()).await["result"], json!({}));
    }
}
