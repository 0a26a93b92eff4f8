use super::mock::*;
use crate::{
    Method, Reply,
    error::find,
    json::{Json, Params},
    meta,
    reply::{Event, Note, Outcome},
    upstream::error::{SessionLost, Status},
};
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use tower::ServiceExt;

const FULL: &str = r#"{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/clientCapabilities":{"roots":{}},"progressToken":"p"}}"#;

fn legacy(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Mock {
    Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => GREETED,
        "notifications/initialized" => Answer::Result("{}"),
        _ => answer(),
    })
}

fn modern(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Mock {
    Mock::new(move |outbound, before| match (outbound.call.method.as_str(), before) {
        ("server/discover", 0) => MODERN,
        _ => answer(),
    })
}

fn result(outcome: Outcome) -> String {
    outcome.result().expect("a result").to_string()
}

#[tokio::test(start_paused = true)]
async fn modern_keys_are_taken_out_for_an_old_server_and_nothing_else() {
    let mock = legacy(|| Answer::Result("{}"));
    let era = http(&mock);
    ask(&era, call(Method::TOOLS_CALL, FULL)).await.unwrap();
    assert_eq!(mock.last().call.params.as_str(), r#"{"name":"t","_meta":{"progressToken":"p"}}"#);
    ask(&era, call(Method::TOOLS_CALL, r#"{"name":"t"}"#)).await.unwrap();
    assert_eq!(mock.last().call.params.as_str(), r#"{"name":"t"}"#);
    ask(&era, call(Method::PING, "{}")).await.unwrap();
    assert_eq!(mock.last().call.method, Method::PING);
}

#[tokio::test(start_paused = true)]
async fn missing_keys_are_filled_in_for_a_modern_server_and_given_ones_kept() {
    let mock = modern(|| Answer::Result("{}"));
    let era = http(&mock);
    ask(&era, call(Method::TOOLS_CALL, FULL)).await.unwrap();
    assert_eq!(mock.last().call.params.as_str(), FULL);
    for params in [
        "{}",
        r#"{"_meta":{"progressToken":1}}"#,
        r#"{"_meta":7}"#,
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}"#,
    ] {
        ask(&era, call(Method::PING, params)).await.unwrap();
        let sent = mock.last().call;
        assert_eq!(sent.method, Method::DISCOVER, "its sign of life");
        let version = sent.params.meta_member(meta::PROTOCOL_VERSION).unwrap();
        assert_eq!(version.as_str(), "\"2026-07-28\"", "{params}");
        assert!(sent.params.meta_member(meta::CLIENT_CAPABILITIES).is_some(), "{params}");
        assert!(sent.params.meta_member(meta::CLIENT_INFO).is_some(), "{params}");
    }
}

#[tokio::test(start_paused = true)]
async fn discover_at_an_old_server_is_answered_from_its_greeting() {
    let mock = legacy(|| Answer::Silence);
    let answer = ask(&http(&mock), call(Method::DISCOVER, "{}")).await.unwrap();
    let expected = r#"{"supportedVersions":["2025-06-18"],"capabilities":{"tools":{"listChanged":true},"prompts":{}},"instructions":"hi","ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"old"}}}"#;
    assert_eq!(result(answer), expected);
    assert_eq!(mock.count(Method::DISCOVER), 1, "the probe alone was sent");
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_another_hop_is_not_passed_on() {
    for mock in [legacy(|| Answer::Silence), modern(|| Answer::Silence)] {
        let era = http(&mock);
        for method in [Method::CANCELLED, Method::INITIALIZED, Method::PROGRESS] {
            assert!(matches!(ask(&era, call(method, "{}")).await, Ok(Outcome::Accepted)));
        }
        let refused = ask(&era, call(Method::INITIALIZE, "{}")).await.unwrap();
        assert_eq!(refused.error_code(), Some(-32601));
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_not_found_is_an_invalid_parameter_here() {
    let absent = r#"{"code":-32002,"message":"gone","data":{"x":1}}"#;
    let mock = legacy(move || Answer::Error(absent));
    let era = http(&mock);
    let Ok(Outcome::Error(error)) = ask(&era, call(Method::RESOURCES_READ, r#"{"uri":"file:///a"}"#)).await else {
        panic!("an error outcome")
    };
    assert_eq!(error.as_str(), r#"{"code":-32602,"message":"gone","data":{"uri":"file:///a"}}"#);
    let other = ask(&era, call(Method::TOOLS_CALL, "{}")).await.unwrap();
    assert_eq!(other.error_code(), Some(-32002), "elsewhere the code means something else");
}

fn told(method: Method, params: &'static str) -> Result<Event, crate::BoxError> {
    Ok(Event::from(Note::new(method, Params::parse(Json::from_static(params)).unwrap())))
}

const EVERYTHING: &str =
    r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":false}}"#;

#[tokio::test(start_paused = true)]
async fn listening_at_an_old_server_acknowledges_and_passes_what_it_declared() {
    let mock = legacy(|| {
        let notes = [
            told(Method::MESSAGE, "{}"),
            told(Method::PROMPTS_LIST_CHANGED, "{}"),
            told(Method::TOOLS_LIST_CHANGED, "{}"),
        ];
        Answer::Reply(Reply::stream(stream::iter(notes).chain(stream::pending())))
    });
    let reply = http(&mock).oneshot(call(Method::LISTEN, EVERYTHING)).await.unwrap();
    let mut events = reply.into_events();
    let mut next = || match events.next().now_or_never() {
        Some(Some(Ok(Event::Note(note)))) => Some((note.method, note.params.as_str().to_owned())),
        _ => None,
    };
    let (method, params) = next().unwrap();
    assert_eq!((method, &*params), (Method::LISTEN_ACKNOWLEDGED, r#"{"notifications":{"toolsListChanged":true}}"#));
    assert_eq!(next().unwrap().0, Method::TOOLS_LIST_CHANGED);
    assert!(next().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_channel_of_its_own_is_listened_to_in_vain_but_not_again_and_again() {
    let mock = legacy(|| Answer::Fail(Status(StatusCode::METHOD_NOT_ALLOWED).into()));
    let reply = http(&mock).oneshot(call(Method::LISTEN, EVERYTHING)).await.unwrap();
    let mut events = reply.into_events();
    let Some(Some(Ok(Event::Note(note)))) = events.next().now_or_never() else { panic!("an acknowledgement") };
    assert_eq!(note.params.as_str(), r#"{"notifications":{}}"#);
    assert!(events.next().now_or_never().is_none());
    if cfg!(feature = "http") {
        mock.last().hop.lose();
        let Some(Some(Err(lost))) = events.next().now_or_never() else { panic!("another server may be there by now") };
        assert!(find::<SessionLost>(&*lost).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn the_subscription_id_of_a_modern_server_stays_on_its_hop() {
    let tag = r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}"#;
    let mock = modern(move || {
        let done = Event::Done(Outcome::Result(Json::from_static(tag)));
        Answer::Reply(Reply::stream(stream::iter([told(Method::LISTEN_ACKNOWLEDGED, tag), Ok(done)])))
    });
    let reply = http(&mock).oneshot(call(Method::LISTEN, EVERYTHING)).await.unwrap();
    let events: Vec<_> = reply.into_events().map(Result::unwrap).collect().await;
    assert!(matches!(&events[0], Event::Note(note) if note.params.as_str() == "{}"));
    assert!(matches!(&events[1], Event::Done(Outcome::Result(result)) if result.as_str() == "{}"));
}
