//! Arrays of messages, which one revision has.

use super::*;
use tower_mcp_gateway::reply::Event;

fn one(id: Value, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"name": "n"}})
}

#[tokio::test]
async fn only_sessions_of_the_revision_that_has_them_may_send_batches() {
    let (edge, mut behind) = edge();
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let session = open(&edge, &mut behind, version).await;
        let batch = in_session(&session, json!([one(json!(1), "ping")]));
        refused(ask(&edge, batch).await, 400, -32600, Value::Null).await;
    }
    refused(ask(&edge, post(json!([one(json!(1), "ping")]))).await, 400, -32600, Value::Null).await;
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let flood: Vec<Value> = (0..65).map(|id| one(json!(id), "ping")).collect();
    refused(ask(&edge, in_session(&session, json!(flood))).await, 400, -32600, Value::Null).await;
}

#[tokio::test]
async fn requests_run_side_by_side_and_are_answered_in_one_array() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let batch = json!([
        one(json!(1), "tools/call"),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        one(json!("2"), "tools/call"),
        one(json!(3), "ping"),
        {"jsonrpc": "2.0", "id": 4, "method": 5},
        one(json!(5), "initialize"),
    ]);
    let answer = start(&edge, in_session(&session, batch));
    let first = next(&mut behind).await.1;
    let second = next(&mut behind).await.1;
    second.send_response(result(json!({"n": 2})).into());
    first.send_response(result(json!({"n": 1})).into());
    let response = answer.await.unwrap();
    assert_eq!(header_of(&response, "content-type"), Some("application/json"));
    let mut answers = value(response).await.as_array().unwrap().clone();
    answers.sort_by_key(|answer| answer["id"].to_string());
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "2", "result": {"n": 2}}));
    assert_eq!(answers[1], json!({"jsonrpc": "2.0", "id": 1, "result": {"n": 1}}));
    assert_eq!(answers[2], json!({"jsonrpc": "2.0", "id": 3, "result": {}}));
    assert_eq!((&answers[3]["id"], &answers[3]["error"]["code"]), (&json!(4), &json!(-32600)));
    assert_eq!((&answers[4]["id"], &answers[4]["error"]["code"]), (&json!(5), &json!(-32601)));
    assert_eq!(answers.len(), 5);
}

#[tokio::test]
async fn notes_turn_the_array_into_a_stream() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let answer = start(&edge, in_session(&session, json!([one(json!(1), "tools/call"), one(json!(2), "ping")])));
    next(&mut behind).await.1.send_response(events(vec![Ok(progress(1)), Ok(Event::Done(result(json!({}))))]));
    let response = answer.await.unwrap();
    assert_eq!(header_of(&response, "content-type"), Some("text/event-stream"));
    let text = text(response).await;
    let messages: Vec<Value> = text.split_terminator("\n\n").map(message).collect();
    assert_eq!(messages.len(), 3, "{text}");
    let place = |id: Value| messages.iter().position(|message| message["id"] == id).unwrap();
    let note = messages.iter().position(|message| message["method"] == "notifications/progress").unwrap();
    assert!(note < place(json!(1)));
    place(json!(2));
}

#[tokio::test]
async fn a_batch_that_asks_nothing_is_just_taken() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let batch = json!([
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ]);
    let (call, response) = through(&edge, &mut behind, in_session(&session, batch), Outcome::Accepted).await;
    assert_eq!(call.method.as_str(), "notifications/roots/list_changed");
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (202, ""));
}

#[tokio::test]
async fn one_call_of_a_batch_can_be_cancelled() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let answer = start(&edge, in_session(&session, json!([one(json!(1), "tools/call"), one(json!(2), "tools/call")])));
    let (_one, two) = (next(&mut behind).await.1, next(&mut behind).await.1);
    ask(&edge, told(&session, "notifications/cancelled", json!({"requestId": 1}))).await;
    two.send_response(result(json!({})).into());
    assert_eq!(value(answer.await.unwrap()).await, json!([{"jsonrpc": "2.0", "id": 2, "result": {}}]));
}
