//! Calls and answers of 2026-07-28.

use super::support::*;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::time::Duration;
use tower_mcp_gateway::{
    BoxError, ParamHeaders, Reply,
    error::Problem,
    json::Json,
    reply::{Event, Outcome},
};

fn call() -> Post {
    modern(json!(1), "tools/call", json!({"name": "search"}))
}

#[tokio::test]
async fn a_call_arrives_whole_and_without_its_hop() {
    let (edge, mut behind) = edge();
    let mut request = call().with("mcp-param-region", "eu").also("mcp-param-region", "us").with("mcp-session-id", "x");
    request.extensions_mut().insert("who");
    let (call, response) = through(&edge, &mut behind, request, result(json!({}))).await;
    assert_eq!(call.method.as_str(), "tools/call");
    assert_eq!(call.params.name().unwrap(), "search");
    assert_eq!(call.params.meta_member("io.modelcontextprotocol/clientCapabilities").unwrap().as_str(), "{}");
    assert!(call.session.is_none());
    let headers = call.extensions.get::<ParamHeaders>().unwrap();
    let regions = headers.iter().filter(|(name, _)| *name == "mcp-param-region").map(|(_, value)| value);
    assert_eq!(regions.collect::<Vec<_>>(), ["eu", "us"]);
    assert_eq!(headers.iter().count(), 2);
    assert_eq!(call.extensions.get(), Some(&"who"));
    assert_eq!(header_of(&response, "mcp-session-id"), None);
}

#[tokio::test]
async fn an_id_comes_back_as_it_was_sent() {
    let (edge, mut behind) = edge();
    for id in ["1", "\"1\"", "18446744073709551617", r#""a\u0041""#] {
        let text = modern(json!(0), "tools/list", json!({}));
        let body = r#"{"jsonrpc":"2.0","id":ID,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let request = text.map(|_| http_body_util::Full::from(body.replace("ID", id)));
        let (_, response) = through(&edge, &mut behind, request, error(json!({"code": 1, "message": "m"}))).await;
        let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":1,"message":"m"}}}}"#);
        assert_eq!(super::support::text(response).await, expected);
    }
}

async fn stamped(method: &str, result: &'static str) -> String {
    let (edge, mut behind) = edge();
    let request = modern(json!(1), method, json!({"uri": "u", "name": "u"}));
    let (_, response) = through(&edge, &mut behind, request, Outcome::Result(Json::from_static(result))).await;
    let text = text(response).await;
    text.strip_prefix(r#"{"jsonrpc":"2.0","id":1,"result":"#).unwrap().strip_suffix('}').unwrap().to_owned()
}

#[tokio::test]
async fn results_get_what_they_lack_and_keep_what_they_have() {
    assert_eq!(stamped("tools/call", r#"{"n":1e400}"#).await, r#"{"resultType":"complete","n":1e400}"#);
    assert_eq!(stamped("tools/call", "{ }").await, r#"{"resultType":"complete" }"#);
    let asked = r#"{"resultType":"input_required"}"#;
    assert_eq!(stamped("tools/call", asked).await, asked);
    let nested = r#"{"a":{"resultType":"x"}}"#;
    assert_eq!(stamped("tools/call", nested).await, r#"{"resultType":"complete","a":{"resultType":"x"}}"#);
    let cached = r#"{"tools":[],"cacheScope":"public"}"#;
    let expected = r#"{"resultType":"complete","ttlMs":0,"tools":[],"cacheScope":"public"}"#;
    assert_eq!(stamped("tools/list", cached).await, expected);
    for method in ["server/discover", "prompts/list", "resources/list", "resources/templates/list", "resources/read"] {
        let whole = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
        assert_eq!(stamped(method, "{}").await, whole, "{method}");
    }
    assert_eq!(stamped("tools/call", "[1]").await, "[1]");
}

#[tokio::test]
async fn the_status_follows_from_the_code() {
    let (edge, mut behind) = edge();
    for (code, status) in
        [(-32601, 404), (-32020, 400), (-32021, 400), (-32022, 400), (-32602, 200), (-32603, 200), (7, 200)]
    {
        let (_, response) = through(&edge, &mut behind, call(), error(json!({"code": code, "message": ""}))).await;
        refused(response, status, code, json!(1)).await;
    }
}

#[tokio::test]
async fn a_failure_of_the_gateway_is_explained() {
    let (edge, mut behind) = edge();
    let answer = start(&edge, call());
    let full = Problem::new(503, "full", "come later").with_retry_after(Duration::from_millis(1500));
    next(&mut behind).await.1.send_error(BoxError::from(full));
    let response = answer.await.unwrap();
    assert_eq!(header_of(&response, "retry-after"), Some("2"));
    let body = refused(response, 503, 503, json!(1)).await;
    assert_eq!(body["error"]["data"]["reason"], "full");
    let answer = start(&edge, call());
    next(&mut behind).await.1.send_error("the password is 1234");
    let body = refused(answer.await.unwrap(), 500, -32603, json!(1)).await;
    assert!(!body.to_string().contains("1234"));
    let (_, response) = through(&edge, &mut behind, call(), Outcome::Accepted).await;
    refused(response, 500, -32603, json!(1)).await;
}

#[tokio::test]
async fn notes_make_the_answer_a_stream() {
    let (edge, mut behind) = edge();
    let reply = events(vec![Ok(progress(1)), Ok(progress(2)), Ok(Event::Done(result(json!({"a": "x\ny"}))))]);
    let (_, response) = through(&edge, &mut behind, call(), reply).await;
    assert_eq!(header_of(&response, "content-type"), Some("text/event-stream"));
    assert_eq!(header_of(&response, "cache-control"), Some("no-cache"));
    assert_eq!(header_of(&response, "x-accel-buffering"), Some("no"));
    let text = text(response).await;
    let messages: Vec<Value> = text.split_terminator("\n\n").map(message).collect();
    assert_eq!(messages[0]["params"], json!({"progressToken": "t", "progress": 1}));
    assert_eq!(messages[1]["params"]["progress"], 2);
    assert_eq!(messages[2], json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "a": "x\ny"}}));
    assert_eq!(messages.len(), 3);
}

#[tokio::test]
async fn a_stream_that_holds_nothing_but_its_outcome_is_answered_as_json() {
    let (edge, mut behind) = edge();
    let reply = events(vec![Ok(Event::Done(error(json!({"code": -32601, "message": ""}))))]);
    let (_, response) = through(&edge, &mut behind, call(), reply).await;
    refused(response, 404, -32601, json!(1)).await;
}

#[tokio::test]
async fn a_failure_after_the_head_ends_the_stream_with_an_answer() {
    let (edge, mut behind) = edge();
    for last in [Some(Err("cut".into())), None] {
        let reply = events([Ok(progress(1))].into_iter().chain(last).collect());
        let (_, response) = through(&edge, &mut behind, call(), reply).await;
        assert_eq!(response.status(), 200);
        let mut body = Reading::of(response);
        assert_eq!(message(&frame(&mut body).await.unwrap())["method"], "notifications/progress");
        let last = message(&frame(&mut body).await.unwrap());
        assert!(last["error"]["code"].is_i64() && last["id"] == 1, "{last}");
        assert_eq!(frame(&mut body).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn after_ten_seconds_of_silence_the_head_goes_out_as_a_stream_with_comments() {
    let (edge, mut behind) = edge();
    let begun = tokio::time::Instant::now();
    let answer = start(&edge, call());
    let (_, respond) = next(&mut behind).await;
    let mut body = Reading::of(answer.await.unwrap());
    assert_eq!(begun.elapsed().as_secs(), 10);
    for n in 1..=3 {
        assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
        assert_eq!(begun.elapsed().as_secs(), 10 + 15 * n);
    }
    respond.send_response(result(json!({})).into());
    assert_eq!(message(&frame(&mut body).await.unwrap())["result"]["resultType"], "complete");
    assert_eq!(frame(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn comments_count_from_the_last_frame() {
    let (edge, mut behind) = edge();
    let steps = stream::iter(0..3).then(|n| async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok(progress(n))
    });
    let reply = Reply::stream(stream::iter([Ok(progress(9))]).chain(steps).chain(stream::pending()));
    let (_, response) = through(&edge, &mut behind, call(), reply).await;
    let mut body = Reading::of(response);
    let begun = tokio::time::Instant::now();
    for _ in 0..4 {
        assert_eq!(message(&frame(&mut body).await.unwrap())["method"], "notifications/progress");
    }
    assert_eq!(frame(&mut body).await.unwrap(), ":\n\n");
    assert_eq!(begun.elapsed().as_secs(), 45);
}

#[tokio::test]
async fn dropping_the_response_cancels_the_call() {
    let (edge, mut behind) = edge();
    let (reply, dropped) = endless(vec![progress(1)]);
    let (_, response) = through(&edge, &mut behind, call(), reply).await;
    drop(response);
    dropped.await;
}

#[tokio::test]
async fn dropping_the_request_cancels_the_call() {
    let (edge, mut behind) = edge();
    let answer = start(&edge, call());
    let (reply, dropped) = endless(vec![]);
    next(&mut behind).await.1.send_response(reply);
    tokio::task::yield_now().await;
    answer.abort();
    dropped.await;
}

#[tokio::test]
async fn every_message_of_a_listen_names_it() {
    let (edge, mut behind) = edge();
    let reply = events(vec![
        Ok(note("notifications/subscriptions/acknowledged", json!({"notifications": {}}))),
        Ok(note("notifications/tools/list_changed", json!({"_meta": {"k": 1}}))),
        Ok(Event::Done(result(json!({})))),
    ]);
    let request = modern(json!("7"), "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let (_, response) = through(&edge, &mut behind, request, reply).await;
    let text = text(response).await;
    let messages: Vec<Value> = text.split_terminator("\n\n").map(message).collect();
    let id = "io.modelcontextprotocol/subscriptionId";
    assert_eq!(messages[0]["params"], json!({"notifications": {}, "_meta": {id: "7"}}));
    assert_eq!(messages[1]["params"], json!({"_meta": {"k": 1, id: "7"}}));
    assert_eq!(messages[2]["result"], json!({"resultType": "complete", "_meta": {id: "7"}}));
}

#[tokio::test]
async fn notifications_are_taken_without_an_answer() {
    let (edge, mut behind) = edge();
    let told = json!({"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": 1}});
    let told = || post(told.clone()).with("mcp-protocol-version", "2026-07-28");
    let (call, response) = through(&edge, &mut behind, told(), Outcome::Accepted).await;
    assert_eq!((call.method.as_str(), call.params.as_str()), ("notifications/x", r#"{"a":1}"#));
    assert_eq!(response.status(), 202);
    assert_eq!(text(response).await, "");
    let answer = start(&edge, told());
    next(&mut behind).await.1.send_error(BoxError::from(Problem::new(503, "full", "later")));
    refused(answer.await.unwrap(), 503, 503, Value::Null).await;
    let unsupported = told().with("mcp-protocol-version", "2099-01-01");
    refused(ask(&edge, unsupported).await, 400, -32022, Value::Null).await;
}

#[tokio::test]
async fn calls_of_different_clients_with_one_id_do_not_meet() {
    let (edge, mut behind) = edge();
    let answers: Vec<_> = (0..1000).map(|_| start(&edge, call())).collect();
    let mut open = Vec::new();
    for n in 0..1000 {
        open.push((n, next(&mut behind).await.1));
    }
    open.reverse();
    for (n, respond) in open {
        respond.send_response(result(json!({"n": n})).into());
    }
    let mut seen = std::collections::HashSet::new();
    for answer in answers {
        let body = value(answer.await.unwrap()).await;
        assert_eq!(body["id"], 1);
        assert!(seen.insert(body["result"]["n"].as_u64().unwrap()));
    }
}
