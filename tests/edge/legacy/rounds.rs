//! Results that ask for more, of servers of 2026-07-28.

use super::*;
use std::time::Duration;
use tower_mcp_gateway::{
    Reply,
    edge::EdgeLayer,
    metrics::{Count, Metrics},
};
use tower_test::mock::SendResponse;

fn able() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": true}})
}

fn required(requests: Value, state: Option<&str>) -> Outcome {
    let mut out = json!({"resultType": "input_required"});
    if requests != json!({}) {
        out["inputRequests"] = requests;
    }
    if let Some(state) = state {
        out["requestState"] = json!(state);
    }
    result(out)
}

fn elicit() -> Value {
    json!({"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {"type": "object"}}})
}

/// The next call, while the client reads its stream.
async fn again(behind: &mut Behind, body: &mut Reading) -> (Call, SendResponse<Reply>) {
    tokio::select! {
        said = said(body) => panic!("{said:?}"),
        call = next(behind) => call,
    }
}

fn params(call: &Call) -> Value {
    serde_json::from_str(call.params.as_str()).unwrap()
}

#[tokio::test]
async fn each_request_is_asked_and_the_call_made_again_with_all_answers() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    for (method, given) in [
        ("tools/call", json!({"name": "n", "arguments": {"a": 1}})),
        ("prompts/get", json!({"name": "p"})),
        ("resources/read", json!({"uri": "u"})),
    ] {
        let requests = json!({
            "who": elicit(),
            "say \"it\"": {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}},
            "where": {"method": "roots/list"},
        });
        let asks = required(requests, Some("st\"ate"));
        let (first, response) =
            through(&edge, &mut behind, request(&session, json!(7), method, given.clone()), asks).await;
        let mut body = Reading::of(response);
        let mut keys = serde_json::Map::new();
        for _ in 0..3 {
            let asked = said(&mut body).await.unwrap();
            let key = match asked["method"].as_str().unwrap() {
                "elicitation/create" => "who",
                "sampling/createMessage" => "say \"it\"",
                _ => "where",
            };
            keys.insert(key.to_owned(), asked["id"].clone());
        }
        for (key, id) in keys.iter().rev() {
            assert_eq!(ask(&edge, answer(&session, id, json!({"for": key}))).await.status(), 202);
        }
        let (again, respond) = again(&mut behind, &mut body).await;
        let mut expected = params(&first);
        expected["requestState"] = json!("st\"ate");
        for key in keys.keys() {
            expected["inputResponses"][key] = json!({"for": key});
        }
        assert_eq!(params(&again), expected);
        assert!(again.session.is_some());
        respond.send_response(result(json!({"done": true})).into());
        assert_eq!(said(&mut body).await.unwrap(), json!({"jsonrpc": "2.0", "id": 7, "result": {"done": true}}));
        assert_eq!(said(&mut body).await, None);
    }
}

#[tokio::test]
async fn results_of_other_methods_are_nobodys_questions() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    let list = request(&session, json!(1), "tools/list", json!({}));
    let (_, response) = through(&edge, &mut behind, list, required(json!({"a": elicit()}), None)).await;
    assert_eq!(value(response).await["result"]["resultType"], "input_required");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_asks_nothing_is_fetched_again_after_a_pause_but_not_forever() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let answering = start(&edge, tool_call(&session, json!(1)));
    let answering = tokio::spawn(async { messages(answering.await.unwrap()).await });
    let (first, respond) = next(&mut behind).await;
    assert_eq!(params(&first).get("requestState"), None);
    respond.send_response(required(json!({}), Some("0")).into());
    let mut before = tokio::time::Instant::now();
    for round in 1..=10 {
        let (call, respond) = next(&mut behind).await;
        assert!(before.elapsed() >= Duration::from_millis(100));
        before = tokio::time::Instant::now();
        assert_eq!(params(&call)["requestState"], json!((round - 1).to_string()));
        assert_eq!(params(&call).get("inputResponses"), None);
        respond.send_response(required(json!({}), Some(&round.to_string())).into());
    }
    let messages = answering.await.unwrap();
    assert_eq!(messages[0]["error"]["data"]["reason"], "rounds");
}

#[tokio::test]
async fn an_answer_may_ask_again_and_state_is_sent_only_where_it_was_given() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-06-18", json!({"elicitation": {}})).await;
    let (_, response) =
        through(&edge, &mut behind, tool_call(&session, json!(1)), required(json!({"a": elicit()}), Some("s"))).await;
    let mut body = Reading::of(response);
    for (key, state) in [("a", Some("s")), ("b", None)] {
        let asked = said(&mut body).await.unwrap();
        ask(&edge, answer(&session, &asked["id"], json!({"action": "decline"}))).await;
        let (call, respond) = again(&mut behind, &mut body).await;
        let params = params(&call);
        assert_eq!(params.get("requestState"), state.map(Value::from).as_ref());
        assert_eq!(params["inputResponses"], json!({key: {"action": "decline"}}));
        respond.send_response(match key {
            "a" => required(json!({"b": elicit()}), None).into(),
            _ => result(json!({})).into(),
        });
    }
    assert_eq!(said(&mut body).await.unwrap()["result"], json!({}));
}

#[tokio::test]
async fn an_error_of_the_client_cancels_a_form_and_fails_everything_else() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    let error = json!({"code": -1, "message": "no"});
    for (asked, fails) in [
        (elicit(), false),
        (json!({"method": "sampling/createMessage", "params": {}}), true),
        (json!({"method": "roots/list"}), true),
    ] {
        let asks = required(json!({"k": asked}), None);
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks).await;
        let mut body = Reading::of(response);
        let id = said(&mut body).await.unwrap()["id"].clone();
        ask(&edge, in_session(&session, json!({"jsonrpc": "2.0", "id": id, "error": error}))).await;
        if fails {
            assert_eq!(said(&mut body).await.unwrap(), json!({"jsonrpc": "2.0", "id": 1, "error": error}));
        } else {
            let (call, respond) = again(&mut behind, &mut body).await;
            assert_eq!(params(&call)["inputResponses"], json!({"k": {"action": "cancel"}}));
            respond.send_response(result(json!({})).into());
            assert_eq!(said(&mut body).await.unwrap()["result"], json!({}));
        }
    }
}

#[tokio::test]
async fn an_answer_that_would_stand_too_deep_in_the_next_call_ends_this_one() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    let deep = |depth| (0..depth).fold(json!([]), |inner, _| json!([inner]));
    for (depth, fits) in [(124, true), (125, false)] {
        let asks = required(json!({"k": elicit()}), None);
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks).await;
        let mut body = Reading::of(response);
        let id = said(&mut body).await.unwrap()["id"].clone();
        let content = json!({"action": "accept", "content": deep(depth)});
        assert_eq!(ask(&edge, answer(&session, &id, content)).await.status(), 202);
        if fits {
            let (_, respond) = again(&mut behind, &mut body).await;
            respond.send_response(result(json!({})).into());
            assert_eq!(said(&mut body).await.unwrap()["result"], json!({}));
        } else {
            let error = &said(&mut body).await.unwrap()["error"];
            assert_eq!(error["code"], -32602, "{error}");
            assert!(error["message"].as_str().unwrap().contains("nested deeper than 128 levels"), "{error}");
        }
        assert_eq!(said(&mut body).await, None);
    }
}

#[tokio::test]
async fn what_a_client_has_not_declared_it_is_not_asked() {
    let (edge, mut behind) = edge();
    let page = json!({"method": "elicitation/create", "params": {"mode": "url", "url": "https://x", "message": "m"}});
    let tools = json!({"method": "sampling/createMessage", "params": {"messages": [], "tools": []}});
    for (version, has, asked, missing) in [
        ("2025-11-25", json!({}), elicit(), json!({"elicitation": {"form": {}}})),
        ("2025-11-25", json!({"elicitation": {"url": {}}}), elicit(), json!({"elicitation": {"form": {}}})),
        ("2025-11-25", json!({"elicitation": {}}), page.clone(), json!({"elicitation": {"url": {}}})),
        ("2025-06-18", json!({"elicitation": {"url": {}}}), page.clone(), json!({"elicitation": {"url": {}}})),
        ("2025-11-25", able(), tools, json!({"sampling": {"tools": {}}})),
        ("2025-11-25", json!({"sampling": null}), json!({"method": "roots/list"}), json!({"roots": {}})),
    ] {
        let session = open_with(&edge, &mut behind, version, has).await;
        let asks = required(json!({"fine": {"method": "roots/list"}, "k": asked}), Some("s"));
        let asks =
            if missing == json!({"roots": {}}) || version == "2025-06-18" || missing["elicitation"] != Value::Null {
                required(json!({"k": asked}), Some("s"))
            } else {
                asks
            };
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks).await;
        let body = refused(response, 200, -32021, json!(1)).await;
        assert_eq!(body["error"]["data"]["requiredCapabilities"], missing);
    }
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    let asks = required(json!({"k": page}), None);
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks).await;
    let asked = said(&mut Reading::of(response)).await.unwrap();
    assert!(asked["params"]["elicitationId"].as_str().is_some_and(|id| id.len() >= 32), "{asked}");
}

#[tokio::test]
async fn what_no_client_can_give_fails_the_call() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    let many: serde_json::Map<_, _> = (0..65).map(|n| (n.to_string(), elicit())).collect();
    for asks in [
        required(json!({"k": {"method": "tools/call"}}), None),
        required(json!({"k": 7}), None),
        required(json!([]), Some("s")),
        required(json!({}), None),
        required(json!({"k": {"method": "roots/list", "params": []}}), None),
        required(Value::Object(many), None),
    ] {
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks).await;
        assert_eq!(refused(response, 200, 502, json!(1)).await["error"]["data"]["reason"], "protocol");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_ends_its_call() {
    for (layer, limit) in [
        (EdgeLayer::new(), EdgeLayer::ASK),
        (EdgeLayer::new().ask_timeout(Duration::from_secs(7)), Duration::from_secs(7)),
    ] {
        let metrics = Metrics::default();
        let (edge, mut behind) = edge_with(layer.metrics(metrics.clone()));
        let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
        let asks = required(json!({"k": elicit()}), None);
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks).await;
        let started = tokio::time::Instant::now();
        let messages = messages(response).await;
        assert_eq!((&messages[1]["error"]["code"], metrics.get(Count::Ask)), (&json!(504), 1));
        let lasted = started.elapsed();
        assert!(lasted >= limit && lasted < limit + Duration::from_secs(1), "{lasted:?}");
        assert_eq!(ask(&edge, answer(&session, &messages[0]["id"], json!({}))).await.status(), 202);
    }
}

#[tokio::test]
async fn a_call_can_be_taken_back_in_each_of_its_steps() {
    let (edge, mut behind) = edge();
    let session = open_with(&edge, &mut behind, "2025-11-25", able()).await;
    let cancel = || told(&session, "notifications/cancelled", json!({"requestId": 1}));
    // While the client is asked.
    let asks = || required(json!({"k": elicit()}), None);
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks()).await;
    let mut body = Reading::of(response);
    let id = said(&mut body).await.unwrap()["id"].clone();
    ask(&edge, cancel()).await;
    assert_eq!(said(&mut body).await, None);
    ask(&edge, answer(&session, &id, json!({}))).await;
    // While it is made again.
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), asks()).await;
    let mut body = Reading::of(response);
    let id = said(&mut body).await.unwrap()["id"].clone();
    ask(&edge, answer(&session, &id, json!({}))).await;
    let (call, respond) = again(&mut behind, &mut body).await;
    assert_eq!(params(&call)["inputResponses"], json!({"k": {}}), "the answer of before started no call");
    let (reply, dropped) = endless(vec![progress(1)]);
    respond.send_response(reply);
    said(&mut body).await.unwrap();
    ask(&edge, cancel()).await;
    assert_eq!(said(&mut body).await, None);
    dropped.await;
}
