//! Results that come in parts.

use super::support::*;
use http::Response;
use http_body_util::BodyExt;
use serde_json::json;
use tower_mcp_gateway::{
    BoxError, Reply,
    edge::Body,
    json::Members,
    reply::{Event, Note, Outcome},
};

type Item = Result<Event, BoxError>;

fn part(text: &'static str) -> Item {
    Ok(Event::Part(text.into()))
}

fn passed() -> Item {
    Ok(Event::Done(Outcome::Passed(Members::default())))
}

fn note() -> Item {
    let params = tower_mcp_gateway::json::Params::from_value(&json!({"level": "info"})).unwrap();
    Ok(Event::from(Note::new(tower_mcp_gateway::Method::MESSAGE, params)))
}

fn reply(events: impl IntoIterator<Item = Item, IntoIter: Send + 'static>) -> Reply {
    Reply::stream(futures_util::stream::iter(events))
}

/// What a call is answered with, of clients of both eras.
async fn answers(events: impl Fn() -> Vec<Item>) -> Vec<Response<Body>> {
    answers_of(|| reply(events())).await
}

/// The same, of a call whose reply `reply` makes.
async fn answers_of(mut reply: impl FnMut() -> Reply) -> Vec<Response<Body>> {
    let (edge, mut behind) = edge();
    let request = modern(json!(1), "tools/call", json!({"name": "n"}));
    let (call, answer) = through(&edge, &mut behind, request, reply()).await;
    assert!(call.in_parts);
    #[cfg_attr(not(feature = "legacy"), allow(unused_mut, reason = "there is one era"))]
    let mut all = vec![answer];
    #[cfg(feature = "legacy")]
    {
        use super::legacy::{open, request};
        let session = open(&edge, &mut behind, "2025-11-25").await;
        let request = request(&session, json!(1), "tools/call", json!({"name": "n"}));
        let (call, answer) = through(&edge, &mut behind, request, reply()).await;
        assert!(call.in_parts);
        all.push(answer);
    }
    all
}

const WHOLE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}"#;

#[tokio::test]
async fn parts_make_one_answer_with_the_clients_id() {
    for answer in answers(|| vec![part(r#"{"a":["#), part("1,2"), note(), part("]"), passed()]).await {
        assert_eq!(header_of(&answer, "content-type"), Some("application/json"));
        assert_eq!(text(answer).await, WHOLE);
    }
}

#[tokio::test]
async fn behind_a_note_they_are_one_event() {
    for answer in answers(|| vec![note(), part(r#"{"a":["#), part("1,2]"), passed()]).await {
        assert_eq!(header_of(&answer, "content-type"), Some("text/event-stream"));
        let last =
            text(answer).await.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap().to_owned();
        let last: serde_json::Value = serde_json::from_str(&last).unwrap();
        assert_eq!(last["result"]["a"], json!([1, 2]));
    }
}

#[tokio::test]
async fn what_does_not_end_well_has_no_end() {
    let bad: [fn() -> Option<Item>; 3] =
        [|| Some(Err("cut".into())), || None, || Some(Ok(Event::Done(Outcome::Accepted)))];
    for end in bad {
        for answer in answers(|| [Some(part(r#"{"a":["#)), end()].into_iter().flatten().collect()).await {
            let error = answer.into_body().collect().await.unwrap_err();
            assert_eq!(error.to_string(), "the answer was broken off");
        }
    }
}

#[tokio::test]
async fn what_does_not_end_well_behind_a_note_is_half_an_event() {
    let bad: [fn() -> Option<Item>; 3] =
        [|| Some(Err("cut".into())), || None, || Some(Ok(Event::Done(Outcome::Accepted)))];
    for end in bad {
        let events = || [Some(note()), Some(part(r#"{"a":["#)), end()].into_iter().flatten().collect();
        for answer in answers(events).await {
            let (mut body, mut got) = (answer.into_body(), Vec::new());
            let error = loop {
                match body.frame().await.expect("no end") {
                    Ok(frame) => got.extend(frame.into_data().unwrap()),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.to_string(), "the answer was broken off");
            assert!(got.ends_with(br#""result":{"a":["#), "{}", String::from_utf8_lossy(&got));
            assert!(http_body::Body::is_end_stream(&body));
        }
    }
}

#[cfg(feature = "legacy")]
#[tokio::test(start_paused = true)]
async fn no_comment_stands_within_an_event() {
    let mut senders = Vec::new();
    let answers = answers_of(|| {
        let (events, reply) = driven();
        events.send(note().unwrap()).unwrap();
        senders.push(events);
        reply
    });
    for (answer, events) in answers.await.into_iter().zip(&senders) {
        let mut body = answer.into_body();
        let mut next = async || {
            let frame = tokio::time::timeout(std::time::Duration::from_secs(600), body.frame()).await.ok()?;
            Some(String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap())
        };
        assert!(next().await.unwrap().contains("notifications/message"));
        assert_eq!(next().await.as_deref(), Some(":\n\n"));
        events.send(part(r#"{"a":["#).unwrap()).unwrap();
        assert!(next().await.unwrap().ends_with("\"result\":{\"a\":["));
        assert_eq!(next().await, None, "silence");
        events.send(part("1\n,2]").unwrap()).unwrap();
        assert_eq!(next().await.as_deref(), Some("1\ndata: ,2]"));
        events.send(passed().unwrap()).unwrap();
        assert!(next().await.unwrap().ends_with("}}\n\n"));
    }
}

#[tokio::test]
async fn who_needs_an_outcome_gets_all_of_it() {
    let outcome = reply([part(r#"{"a":["#), part("1,2]"), passed()]).outcome().await.unwrap();
    assert_eq!(outcome.result().unwrap().as_str(), r#"{"a":[1,2]}"#);
}

/// Answers that are put into one array, or go down a stream, are whole.
#[cfg(feature = "legacy")]
#[tokio::test]
async fn nobody_else_is_given_parts() {
    use super::legacy::{in_session, open};
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-03-26").await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "n"}});
    let events = [part(r#"{"a":["#), part("1,2]"), passed()];
    let (call, answer) = through(&edge, &mut behind, in_session(&session, json!([call])), reply(events)).await;
    assert!(!call.in_parts);
    assert_eq!(text(answer).await, format!("[{WHOLE}]"));
    let (call, _) = through(&edge, &mut behind, modern(json!(1), "tools/list", json!({})), result(json!({}))).await;
    assert!(!call.in_parts);
}
