//! Questions of servers in the middle of a call.

use super::*;
use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use tower_mcp_gateway::{
    Reply,
    json::Params,
    reply::{Answer, Ask, Event},
};

pub(crate) fn question(method: &'static str, params: Value) -> (Event, Answer) {
    let (ask, answer) = Ask::new(tower_mcp_gateway::Method::new(method), Params::from_value(&params).unwrap());
    (ask.into(), answer)
}

/// A reply that asks, and whose result is what it was told.
pub(crate) fn asking(method: &'static str, params: Value) -> Reply {
    let (ask, answer) = question(method, params);
    let told = stream::once(async {
        let told = match answer.await {
            Some(Ok(told)) => json!({"told": serde_json::from_str::<Value>(told.as_str()).unwrap()}),
            Some(Err(error)) => json!({"error": serde_json::from_str::<Value>(error.as_str()).unwrap()}),
            None => json!("refused"),
        };
        Ok(Event::Done(result(json!({"answer": told}))))
    });
    Reply::stream(stream::iter([Ok(ask)]).chain(told))
}

#[tokio::test]
async fn a_question_goes_out_on_the_stream_of_its_call_and_any_post_answers_it() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for n in 1..=2 {
        let reply = asking("elicitation/create", json!({"message": "name?"}));
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!("c")), reply).await;
        assert_eq!(header_of(&response, "content-type"), Some("text/event-stream"));
        let mut body = Reading::of(response);
        let asked = said(&mut body).await.unwrap();
        let expected =
            json!({"jsonrpc": "2.0", "id": n, "method": "elicitation/create", "params": {"message": "name?"}});
        assert_eq!(asked, expected);
        let told = json!({"action": "accept", "content": {"name": "x"}});
        assert_eq!(ask(&edge, answer(&session, &asked["id"], told.clone())).await.status(), 202);
        let done = said(&mut body).await.unwrap();
        assert_eq!(done, json!({"jsonrpc": "2.0", "id": "c", "result": {"answer": {"told": told}}}));
        assert_eq!(said(&mut body).await, None);
    }
}

#[tokio::test]
async fn an_error_is_an_answer_too_and_others_answers_are_none() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-06-18").await;
    let other = open(&edge, &mut behind, "2025-06-18").await;
    let reply = asking("roots/list", json!({}));
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
    let mut body = Reading::of(response);
    let id = said(&mut body).await.unwrap()["id"].clone();
    for (session, id) in [(&other, id.clone()), (&session, json!(99)), (&session, json!("x")), (&session, json!(1.5))] {
        let taken = ask(&edge, answer(session, &id, json!({"roots": []}))).await.status().as_u16();
        assert!([202, 400].contains(&taken));
    }
    let nameless = json!({"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "?"}});
    assert_eq!(ask(&edge, in_session(&session, nameless)).await.status(), 202);
    let error = json!({"code": -32601, "message": "no roots"});
    let failed = json!({"jsonrpc": "2.0", "id": id.to_string(), "error": error});
    assert_eq!(ask(&edge, in_session(&session, failed)).await.status(), 202);
    assert_eq!(said(&mut body).await.unwrap()["result"]["answer"]["error"], error);
    assert_eq!(ask(&edge, answer(&session, &id, json!({"roots": []}))).await.status(), 202);
}

#[tokio::test]
async fn of_a_thousand_questions_at_once_as_many_are_asked_as_may_be_open() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (asks, answers): (Vec<_>, Vec<_>) = (0..1000).map(|n| question("roots/list", json!({"n": n}))).unzip();
    let counted = stream::once(async {
        let answers = join_all(answers).await;
        let n = answers.iter().enumerate().filter(|(n, answer)| match answer {
            Some(Ok(told)) => told.member("n").unwrap().as_str() == n.to_string(),
            _ => false,
        });
        Ok(Event::Done(result(json!({"answered": n.count()}))))
    });
    let reply = Reply::stream(stream::iter(asks).map(Ok).chain(counted));
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
    let mut body = Reading::of(response);
    let mut asked = Vec::new();
    for _ in 0..256 {
        asked.push(said(&mut body).await.unwrap());
    }
    assert!(said(&mut body).now_or_never().is_none(), "the others are refused");
    for question in asked.iter().rev() {
        let told = json!({"n": question["params"]["n"]});
        assert_eq!(ask(&edge, answer(&session, &question["id"], told)).await.status(), 202);
    }
    assert_eq!(said(&mut body).await.unwrap()["result"], json!({"answered": 256}));
    let reply = asking("roots/list", json!({}));
    let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
    assert_eq!(said(&mut Reading::of(response)).await.unwrap()["method"], "roots/list", "there is room again");
}

#[tokio::test]
async fn questions_end_with_their_call_and_their_session() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let cancel = told(&session, "notifications/cancelled", json!({"requestId": 1}));
    for end in [cancel, delete(&session)] {
        let (ask_it, answered) = question("roots/list", json!({}));
        let (reply, dropped) = endless(vec![ask_it]);
        let (_, response) = through(&edge, &mut behind, tool_call(&session, json!(1)), reply).await;
        let mut body = Reading::of(response);
        said(&mut body).await.unwrap();
        ask(&edge, end).await;
        assert_eq!(said(&mut body).await, None);
        dropped.await;
        assert!(answered.await.is_none());
    }
}

#[tokio::test]
async fn who_went_away_before_the_head_is_not_asked() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (answering, _, respond) = called(&edge, &mut behind, tool_call(&session, json!(1))).await;
    answering.abort();
    assert!(answering.await.unwrap_err().is_cancelled());
    let (ask_it, answered) = question("roots/list", json!({}));
    respond.send_response(endless(vec![ask_it]).0);
    assert!(answered.await.is_none());
}

#[tokio::test]
async fn batches_ask_on_their_stream_and_answer_in_arrays() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let one = |id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "n"}});
    let calls = start(&edge, in_session(&session, json!([one(1), one(2)])));
    for _ in 0..2 {
        next(&mut behind).await.1.send_response(asking("roots/list", json!({})));
    }
    let mut body = Reading::of(calls.await.unwrap());
    let mut answers = Vec::new();
    for _ in 0..2 {
        let asked = said(&mut body).await.unwrap();
        answers.push(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [asked["id"]]}}));
    }
    assert_eq!(ask(&edge, in_session(&session, json!(answers))).await.status(), 202);
    for _ in 0..2 {
        assert!(said(&mut body).await.unwrap()["result"]["answer"]["told"]["roots"].is_array());
    }
    assert_eq!(said(&mut body).await, None);
}
