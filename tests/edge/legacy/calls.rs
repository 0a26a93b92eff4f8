//! Requests of a session, their answers, and how they are taken back.

use super::*;
use tower_mcp_gateway::{BoxError, Reply, error::Problem, reply::Event};

fn call(session: &str, id: Value) -> Post {
    request(session, id, "tools/call", json!({"name": "n", "_meta": {"progressToken": "t"}}))
}

fn cancel(session: &str, id: Value) -> Post {
    told(session, "notifications/cancelled", json!({"requestId": id}))
}

#[tokio::test]
async fn a_call_is_filled_in_from_its_session_and_its_result_is_untouched() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let answer = tower_mcp_gateway::json::Json::from_static(r#"{ "n":1e400 }"#);
    let (call, response) = through(&edge, &mut behind, call(&session, json!(1)), Outcome::Result(answer)).await;
    assert_eq!(call.session.as_ref().unwrap().id(), session);
    assert_eq!(call.params.progress_token().unwrap().as_str(), "\"t\"");
    let version = call.params.meta_member("io.modelcontextprotocol/protocolVersion").unwrap();
    assert_eq!(version.as_str(), "\"2026-07-28\"");
    assert!(call.params.meta_member("io.modelcontextprotocol/logLevel").is_none());
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, r#"{"jsonrpc":"2.0","id":1,"result":{ "n":1e400 }}"#);
}

#[tokio::test]
async fn what_the_edge_answers_itself() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let empty = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    assert_eq!(value(ask(&edge, request(&session, json!(1), "ping", json!({}))).await).await, empty);
    let level = |level: &str| request(&session, json!(1), "logging/setLevel", json!({"level": level}));
    assert_eq!(value(ask(&edge, level("warning")).await).await, empty);
    refused(ask(&edge, level("loud")).await, 200, -32602, json!(1)).await;
    let (call, _) = through(&edge, &mut behind, call(&session, json!(2)), result(json!({}))).await;
    assert_eq!(call.params.meta_member("io.modelcontextprotocol/logLevel").unwrap().as_str(), "\"warning\"");
    for method in ["server/discover", "subscriptions/listen", "notifications/x"] {
        refused(ask(&edge, request(&session, json!(3), method, json!({}))).await, 200, -32601, json!(3)).await;
    }
    let initialized = ask(&edge, told(&session, "notifications/initialized", json!({}))).await;
    assert_eq!((initialized.status().as_u16(), text(initialized).await.as_str()), (202, ""));
    let answered = ask(&edge, in_session(&session, json!({"jsonrpc": "2.0", "id": 1, "result": {}}))).await;
    assert_eq!(answered.status(), 202);
}

#[tokio::test]
async fn other_notifications_are_accepted_by_what_stands_behind() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let changed = told(&session, "notifications/roots/list_changed", json!({}));
    let (call, response) = through(&edge, &mut behind, changed, Outcome::Accepted).await;
    assert!(call.method.is_notification() && call.session.is_some());
    assert_eq!(response.status(), 202);
}

#[tokio::test]
async fn errors_of_valid_requests_are_answered_with_200() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for code in [-32601, -32021, -32602] {
        let outcome = error(json!({"code": code, "message": ""}));
        let (_, response) = through(&edge, &mut behind, call(&session, json!(1)), outcome).await;
        refused(response, 200, code, json!(1)).await;
    }
    let answer = start(&edge, call(&session, json!(1)));
    next(&mut behind).await.1.send_error(BoxError::from(Problem::new(404, "gone", "gone")));
    refused(answer.await.unwrap(), 200, 404, json!(1)).await;
}

#[tokio::test]
async fn a_resource_that_is_not_found_has_the_code_of_this_era() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let read = || request(&session, json!(1), "resources/read", json!({"uri": "u"}));
    let missing = || json!({"code": -32602, "message": "m", "data": {"uri": "u"}});
    let (_, response) = through(&edge, &mut behind, read(), error(missing())).await;
    let body = refused(response, 200, -32002, json!(1)).await;
    assert_eq!(body["error"]["data"]["uri"], "u");
    let (_, response) = through(&edge, &mut behind, read(), error(json!({"code": -32602, "message": "m"}))).await;
    refused(response, 200, -32602, json!(1)).await;
    let (_, response) = through(&edge, &mut behind, call(&session, json!(1)), error(missing())).await;
    refused(response, 200, -32602, json!(1)).await;
    let answer = start(&edge, read());
    let unknown = Problem::rpc(200, -32602, "m").with_data(&json!({"uri": "u"}));
    next(&mut behind).await.1.send_error(BoxError::from(unknown));
    refused(answer.await.unwrap(), 200, -32002, json!(1)).await;
}

#[tokio::test]
async fn notes_come_before_the_result_on_the_calls_own_stream() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let reply = events(vec![Ok(progress(1)), Ok(Event::Done(result(json!({"a": 1}))))]);
    let (_, response) = through(&edge, &mut behind, call(&session, json!("x")), reply).await;
    let messages = messages(response).await;
    assert_eq!(messages[0]["params"]["progressToken"], "t");
    assert_eq!(messages[1], json!({"jsonrpc": "2.0", "id": "x", "result": {"a": 1}}));
}

#[tokio::test]
async fn a_call_whose_events_never_wait_can_be_taken_back() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let reply = Reply::stream(futures_util::stream::repeat_with(|| Ok(progress(1))));
    let (_, response) = through(&edge, &mut behind, call(&session, json!(1)), reply).await;
    let mut body = Reading::of(response);
    body.together().await.unwrap();
    ask(&edge, cancel(&session, json!(1))).await;
    let mut more = 0;
    while said(&mut body).await.is_some() {
        more += 1;
        assert!(more < 64, "it ends soon, and not only when a frame is full");
    }
}

#[tokio::test]
async fn a_broken_connection_cancels_nothing() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    // Before the head.
    let (answer, _, respond) = called(&edge, &mut behind, call(&session, json!(1))).await;
    answer.abort();
    assert!(answer.await.unwrap_err().is_cancelled());
    let (finished, seen) = tokio::sync::oneshot::channel();
    respond.send_response(Reply::stream(futures_util::stream::once(async {
        finished.send(()).unwrap();
        Ok(Event::Done(result(json!({}))))
    })));
    seen.await.unwrap();
    // After it.
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let (finished, seen) = tokio::sync::oneshot::channel();
    let rest = async {
        gone.await.unwrap();
        finished.send(()).unwrap();
        Ok(Event::Done(result(json!({}))))
    };
    let first = futures_util::stream::iter([Ok(progress(1))]);
    let reply = Reply::stream(futures_util::StreamExt::chain(first, futures_util::stream::once(rest)));
    let (_, response) = through(&edge, &mut behind, call(&session, json!(2)), reply).await;
    drop(response);
    go.send(()).unwrap();
    seen.await.unwrap();
}

#[tokio::test]
async fn a_call_whose_client_went_away_can_still_be_cancelled() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, dropped) = endless(vec![progress(1)]);
    let (_, response) = through(&edge, &mut behind, call(&session, json!(1)), reply).await;
    drop(response);
    assert_eq!(ask(&edge, cancel(&session, json!(1))).await.status(), 202);
    dropped.await;
}

#[tokio::test]
async fn cancelling_ends_exactly_the_call_it_names() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let other = open(&edge, &mut behind, "2025-11-25").await;
    let mut streams = Vec::new();
    for (session, id) in [(&session, json!(1)), (&session, json!("1")), (&other, json!(1))] {
        let (reply, dropped) = endless(vec![progress(1)]);
        let (_, response) = through(&edge, &mut behind, call(session, id), reply).await;
        streams.push((response, Box::pin(dropped)));
    }
    assert_eq!(ask(&edge, cancel(&session, json!(1))).await.status(), 202);
    let (response, dropped) = streams.remove(0);
    assert_eq!(messages(response).await.len(), 1);
    dropped.await;
    for (response, dropped) in &mut streams {
        let mut body = Reading::of(std::mem::replace(response, Response::new(bytes::Bytes::new().into())));
        assert_eq!(said(&mut body).await.unwrap()["method"], "notifications/progress");
        assert!(futures_util::FutureExt::now_or_never(&mut *dropped).is_none());
        assert!(futures_util::FutureExt::now_or_never(frame(&mut body)).is_none());
    }
    for unknown in [json!(99), json!(null), json!({})] {
        assert_eq!(ask(&edge, cancel(&session, unknown)).await.status(), 202);
    }
}

#[tokio::test]
async fn a_call_cancelled_before_its_head_has_no_answer() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (answer, _, _respond) = called(&edge, &mut behind, call(&session, json!(1))).await;
    ask(&edge, cancel(&session, json!(1))).await;
    let response = answer.await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(text(response).await, "");
    // Its id is free again.
    let (_, response) = through(&edge, &mut behind, call(&session, json!(1)), result(json!({}))).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn an_id_in_use_is_refused_and_so_is_one_call_too_many() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let mut open = Vec::new();
    for id in 0..256 {
        open.push(called(&edge, &mut behind, call(&session, json!(id))).await);
    }
    refused(ask(&edge, call(&session, json!(7))).await, 400, -32600, json!(7)).await;
    let response = ask(&edge, call(&session, json!(256))).await;
    assert!(header_of(&response, "retry-after").is_some());
    refused(response, 200, 503, json!(256)).await;
    let (answer, _, respond) = open.pop().unwrap();
    respond.send_response(result(json!({})).into());
    answer.await.unwrap();
    let (_, response) = through(&edge, &mut behind, call(&session, json!(256)), result(json!({}))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(ask(&edge, request(&session, json!(257), "ping", json!({}))).await.status(), 200);
}
