use super::mock::*;
use crate::{
    Call, Method, Reply, Revision, Session,
    json::{Json, Params},
    reply::{Event, Note, Outcome},
    upstream::era::Era,
};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use tower::ServiceExt;

const LOGS: Answer =
    Answer::Result(r#"{"protocolVersion":"2025-06-18","capabilities":{"logging":{},"tools":{}},"serverInfo":{}}"#);

/// A server that logs once at each of three levels in every call.
fn talkative(greeting: impl Fn() -> Answer + Send + Sync + 'static) -> Mock {
    Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => greeting(),
        "tools/call" => {
            let notes = ["debug", "warning", "emergency"].map(|level| {
                let params = format!("{{\"level\":\"{level}\",\"data\":1}}");
                let params = Params::parse(Json::parse(params).unwrap()).unwrap();
                Ok(Event::from(Note::new(Method::MESSAGE, params)))
            });
            let done = Ok(Event::Done(Outcome::Result(Json::from_static("{}"))));
            Answer::Reply(Reply::stream(stream::iter(notes.into_iter().chain([done]))))
        }
        _ => Answer::Result("{}"),
    })
}

fn at(level: Option<&str>) -> Call {
    let level = level.map(|level| format!(r#","io.modelcontextprotocol/logLevel":"{level}""#)).unwrap_or_default();
    let params = format!(r#"{{"_meta":{{"io.modelcontextprotocol/clientCapabilities":{{}}{level}}}}}"#);
    call(Method::TOOLS_CALL, &params)
}

/// The levels of the messages that the caller gets.
async fn heard(era: &Era<Mock>, call: Call) -> Vec<String> {
    let events = era.clone().oneshot(call).await.unwrap().into_events();
    let levels = events.filter_map(|event| async move {
        match event.unwrap() {
            Event::Note(note) => note.params.member("level").map(|level| level.read().unwrap()),
            _ => None,
        }
    });
    levels.collect().await
}

fn set(mock: &Mock) -> Vec<String> {
    let log = mock.log.lock().unwrap();
    let set = log.iter().filter(|outbound| outbound.call.method == Method::SET_LEVEL);
    set.map(|outbound| outbound.call.params.as_str().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_go_to_calls_that_want_them_from_their_level_on() {
    let mock = talkative(|| LOGS);
    let era = shared(&mock);
    assert!(heard(&era, at(None)).await.is_empty());
    assert!(set(&mock).is_empty(), "nobody wants any");
    assert_eq!(heard(&era, at(Some("warning"))).await, ["warning", "emergency"]);
    assert_eq!(heard(&era, at(Some("emergency"))).await, ["emergency"]);
    assert_eq!(heard(&era, at(Some("debug"))).await, ["debug", "warning", "emergency"]);
    assert_eq!(heard(&era, at(Some("warning"))).await, ["warning", "emergency"]);
    assert!(heard(&era, at(Some("loud"))).await.is_empty(), "no level there is");
    assert_eq!(set(&mock), [r#"{"level":"warning"}"#, r#"{"level":"debug"}"#], "the lowest wanted, once");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_session_that_set_no_level_hears_what_the_server_chooses() {
    let mock = talkative(|| LOGS);
    let session = Arc::new(Session::new("s", Revision::V2025_11_25, Json::from_static("{}"), Json::from_static("{}")));
    let call = at(None).with(|asked| asked.session = Some(session));
    assert_eq!(heard(&shared(&mock), call).await.len(), 3);
    assert!(set(&mock).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_without_the_capability_is_told_nothing() {
    let mock = talkative(|| GREETED);
    heard(&shared(&mock), at(Some("debug"))).await;
    assert!(set(&mock).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_set_its_level_holds_no_call_up_twice() {
    let silent = Mock::new(|outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => LOGS,
        "logging/setLevel" => Answer::Silence,
        _ => Answer::Result("{}"),
    });
    let era = shared(&silent);
    for _ in 0..2 {
        assert!(ask(&era, at(Some("info"))).await.unwrap().result().is_some());
    }
    assert_eq!(set(&silent).len(), 1);
}
