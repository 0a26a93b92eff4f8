//! What initialize-era servers ask in the middle of a call, and clients of either era.

use super::mock::*;
use crate::{
    BoxError, Call, Method, Reply, Revision, Session,
    json::{Json, Params, object::Edit},
    registry::Server,
    reply::{Answer as Answered, Ask, Event, Note, Outcome},
    seal::Keys,
    upstream::era::{Era, endpoint_of, park::MAX_PARKED},
};
use futures_util::{FutureExt, StreamExt, stream};
use http::HeaderValue;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::ServiceExt;

const BOTH: &str = r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#;

type Sent = Result<Event, BoxError>;

/// An initialize-era server whose answers to calls are the test's to give.
struct Scene {
    mock: Mock,
    era: Era<Mock>,
    calls: UnboundedReceiver<UnboundedSender<Sent>>,
}

impl Scene {
    fn new() -> Self {
        let (opened, calls) = unbounded_channel();
        let mock = Mock::new(move |outbound, before| match outbound.call.method.as_str() {
            "server/discover" => UNKNOWN,
            "initialize" => {
                outbound.hop.set_session_id(HeaderValue::from(before as u64));
                GREETED
            }
            "notifications/initialized" => Answer::Result("{}"),
            "visit" => Answer::Result("{}"),
            _ => {
                let (sender, events) = unbounded_channel::<Sent>();
                let _ = opened.send(sender);
                let events = stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) });
                Answer::Reply(Reply::stream(events))
            }
        });
        Self { era: http(&mock), mock, calls }
    }

    /// Makes a call, and plays the server for it from there on.
    async fn open(&mut self, call: Call) -> (crate::reply::Events, UnboundedSender<Sent>) {
        let events = self.era.clone().oneshot(call).await.unwrap().into_events();
        (events, self.calls.recv().await.unwrap())
    }

    /// A call of which the server asks `questions`, and the result that asks the client.
    async fn parked(&mut self, questions: usize) -> (Value, UnboundedSender<Sent>, Vec<Answered>) {
        let (mut events, server) = self.open(modern(BOTH)).await;
        let answers = (0..questions).map(|_| ask(&server, Method::ELICIT, r#"{"message":"m"}"#)).collect();
        let result = done(events.next().await);
        assert_eq!(result["resultType"], "input_required");
        assert!(events.next().await.is_none());
        (result, server, answers)
    }
}

fn modern(capabilities: &str) -> Call {
    let params = format!(
        r#"{{"name":"t","arguments":{{"a":1}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities},"progressToken":"p"}}}}"#
    );
    call(Method::TOOLS_CALL, &params)
}

/// The call once more, with answers and the state of a result.
fn retry(result: &Value, answers: &Value) -> Call {
    let first = modern(BOTH);
    let (answers, state) = (answers.to_string(), result["requestState"].to_string());
    let edits = [Edit::Set("inputResponses", answers.as_bytes()), Edit::Set("requestState", state.as_bytes())];
    first.with(|asked| asked.params = asked.params.edit_shallow(&edits))
}

fn ask(server: &UnboundedSender<Sent>, method: Method, params: &'static str) -> Answered {
    let (ask, answer) = Ask::new(method, Params::parse(Json::from_static(params)).unwrap());
    server.send(Ok(ask.into())).unwrap();
    answer
}

/// Lets every other task do what it can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn ends(server: &UnboundedSender<Sent>) {
    server.send(Ok(Event::Done(Outcome::Result(Json::from_static(r#"{"content":[]}"#))))).unwrap();
}

#[track_caller]
fn done(event: Option<Sent>) -> Value {
    match event {
        Some(Ok(Event::Done(Outcome::Result(json) | Outcome::Error(json)))) => json.read().unwrap(),
        other => panic!("no outcome: {other:?}"),
    }
}

/// The error code of a retry that is refused.
async fn refused(scene: &mut Scene, call: Call) -> Value {
    let sent = scene.mock.count(Method::TOOLS_CALL);
    let outcome = super::mock::ask(&scene.era, call).await.unwrap();
    assert_eq!(scene.mock.count(Method::TOOLS_CALL), sent, "the call is not made again");
    outcome.error_code().map_or(Value::Null, Value::from)
}

#[tokio::test(start_paused = true)]
async fn a_question_ends_the_reply_and_the_retry_goes_on_with_the_call() {
    let mut scene = Scene::new();
    let (mut events, server) = scene.open(modern(BOTH)).await;
    let url = r#"{"mode":"url","url":"https://x/","message":"m","elicitationId":"e"}"#;
    let (mut form, mut visit) =
        (ask(&server, Method::ELICIT, r#"{"message":"m","x":1.50}"#), ask(&server, Method::ELICIT, url));
    let Some(Ok(Event::Done(Outcome::Result(asked)))) = events.next().await else { panic!("no result") };
    let inputs = asked.member("inputRequests").unwrap();
    assert_eq!(
        inputs.as_str(),
        r#"{"ask-1":{"method":"elicitation/create","params":{"message":"m","x":1.50}},"ask-2":{"method":"elicitation/create","params":{"mode":"url","url":"https://x/","message":"m"}}}"#
    );
    assert_eq!(scene.era.parked(), 1);
    assert!((&mut form).now_or_never().is_none() && !server.is_closed(), "the call waits");

    // While nobody listens the server goes on talking.
    server.send(Ok(Event::from(Note::new(Method::PROGRESS, Params::empty())))).unwrap();
    settle().await;
    let result: Value = asked.read().unwrap();
    let answers = json!({"ask-1": {"action": "accept", "content": {"a": 1}}, "more": {}});
    let mut events = scene.era.clone().oneshot(retry(&result, &answers)).await.unwrap().into_events();
    let again = done(events.next().await);
    assert_eq!(again["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ask-2"], "what is missing");
    assert_eq!(form.await.unwrap().unwrap().as_str(), r#"{"action":"accept","content":{"a":1}}"#);
    assert!((&mut visit).now_or_never().is_none());

    let mut call = retry(&again, &json!({"ask-2": {"action": "decline"}}));
    call.params = call.params.edit_meta(&[Edit::Set("progressToken", b"7")]);
    let mut events = scene.era.clone().oneshot(call).await.unwrap().into_events();
    assert!(events.next().now_or_never().is_none());
    assert_eq!(visit.await.unwrap().unwrap().as_str(), r#"{"action":"decline"}"#);
    let progress = Params::parse(Json::from_static(r#"{"progressToken":"p","progress":1}"#)).unwrap();
    server.send(Ok(Event::from(Note::new(Method::PROGRESS, progress)))).unwrap();
    let Some(Ok(Event::Note(note))) = events.next().await else { panic!("no progress") };
    assert_eq!(note.params.as_str(), r#"{"progressToken":7,"progress":1}"#, "the token of the call that listens");
    let roots = ask(&server, Method::ROOTS_LIST, "{}");
    let third = done(events.next().await);
    assert_eq!(third["inputRequests"]["ask-3"]["method"], "roots/list");
    ends(&server);
    let answers = json!({"ask-3": {"roots": []}});
    assert_eq!(
        super::mock::ask(&scene.era, retry(&third, &answers)).await.unwrap().result().unwrap().as_str(),
        r#"{"content":[]}"#
    );
    assert!(roots.await.unwrap().is_ok());
    assert_eq!((scene.mock.count(Method::TOOLS_CALL), scene.era.parked()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_in_one_breath_is_one_result() {
    let mut scene = Scene::new();
    let (mut events, server) = scene.open(modern(BOTH)).await;
    let asking = tokio::spawn(async move {
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(ask(&server, Method::ELICIT, r#"{"message":"m"}"#));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        answers.push(ask(&server, Method::ELICIT, r#"{"message":"late"}"#));
        answers
    });
    let result = done(events.next().await);
    assert_eq!(result["inputRequests"].as_object().unwrap().len(), 3, "who asks on for ever does not hold the rest");
    assert_eq!(asking.await.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_state_is_good_once_for_its_call_at_its_endpoint() {
    let mut scene = Scene::new();
    let (result, server, _answers) = scene.parked(1).await;
    let answers = json!({"ask-1": {"action": "accept"}});
    let good = retry(&result, &answers);
    let state = result["requestState"].as_str().unwrap();

    let mut other = good.clone();
    other.params = other.params.with_name("u");
    let mut method = good.clone();
    method.method = Method::PROMPTS_GET;
    let other_first = if state.starts_with('A') { 'B' } else { 'A' };
    let altered = retry(&json!({"requestState": format!("{other_first}{}", &state[1..])}), &answers);
    let foreign = retry(&json!({"requestState": "of another server"}), &answers);
    let no_text = retry(&json!({"requestState": 7}), &answers);
    for call in [other, method, altered, foreign, no_text] {
        assert_eq!(refused(&mut scene, call).await, -32602);
    }
    let elsewhere = Era::new(scene.mock.clone(), &Server::http("b", "a", "http://localhost/").unwrap());
    assert_eq!(super::mock::ask(&elsewhere, good.clone()).await.unwrap().error_code(), Some(-32602));
    assert!(!server.is_closed(), "none of them costs the client its call");

    let first = scene.era.clone().oneshot(good.clone()).await.unwrap();
    assert_eq!(refused(&mut scene, good).await, -32602, "replayed");
    drop(first);
    server.closed().await;
}

#[tokio::test(start_paused = true)]
async fn the_edge_learns_from_a_state_where_the_call_waits() {
    let keys = Keys::generate().unwrap();
    let settings = crate::upstream::Settings { keys: keys.clone(), ..Default::default() };
    let mut scene = Scene::new();
    let server = Server::http("here", "a", "http://localhost/").unwrap().attach(settings.into(), Default::default());
    scene.era = Era::new(scene.mock.clone(), &server);
    let (result, _server, _answers) = scene.parked(1).await;
    let retry = retry(&result, &json!({}));
    assert_eq!(endpoint_of(&keys, &retry).unwrap().as_str(), "here");
    assert_eq!(endpoint_of(&Keys::generate().unwrap(), &retry), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_nobody_comes_back_for_is_cancelled() {
    let mut scene = Scene::new();
    let (result, server, mut answers) = scene.parked(1).await;
    tokio::time::advance(Duration::from_secs(299)).await;
    tokio::task::yield_now().await;
    assert!(!server.is_closed());
    tokio::time::advance(Duration::from_secs(2)).await;
    server.closed().await;
    assert!(answers.remove(0).await.is_none());
    assert_eq!(scene.era.parked(), 0);
    assert_eq!(refused(&mut scene, retry(&result, &json!({}))).await, -32602);
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_nobody_listens_is_told_to_the_retry() {
    let mut scene = Scene::new();
    let (result, server, _answers) = scene.parked(1).await;
    server.send(Err("cut".into())).unwrap();
    drop(server);
    settle().await;
    let answered = super::mock::ask(&scene.era, retry(&result, &json!({"ask-1": {}}))).await;
    assert_eq!(answered.unwrap_err().to_string(), "cut");
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_bounded_and_go_with_the_service() {
    let mut scene = Scene::new();
    let mut all = Vec::new();
    for _ in 0..MAX_PARKED {
        all.push(scene.parked(1).await);
    }
    let (mut events, server) = scene.open(modern(BOTH)).await;
    let _answer = ask(&server, Method::ROOTS_LIST, "{}");
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(crate::error::explain(&*error).code, 503);
    assert!(!crate::error::never_sent(&*error), "the server has seen the call");
    server.closed().await;
    let Scene { era, .. } = scene;
    drop(era);
    for (_, server, _) in all {
        server.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_modern_client_has_not_declared_fails_its_call() {
    let mut scene = Scene::new();
    for (capabilities, method, needed) in [
        ("{}", Method::ROOTS_LIST, json!({"roots": {}})),
        (r#"{"roots":{}}"#, Method::SAMPLE, json!({"sampling": {}})),
        (r#"{"elicitation":{"url":{}}}"#, Method::ELICIT, json!({"elicitation": {"form": {}}})),
    ] {
        let (mut events, server) = scene.open(modern(capabilities)).await;
        let answer = ask(&server, method, "{}");
        let error = done(events.next().await);
        assert_eq!((&error["code"], &error["data"]["requiredCapabilities"]), (&json!(-32021), &needed));
        assert!(answer.await.unwrap().is_err(), "the server is refused");
        server.closed().await;
    }
    assert_eq!(scene.era.parked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_the_roots_at_any_time_fails_no_call_that_does_without() {
    let mut scene = Scene::new();
    for failed in [false, true] {
        let (mut events, server) = scene.open(modern(r#"{"elicitation":{}}"#)).await;
        let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
        server.send(Ok(ask.inferred().into())).unwrap();
        let result = format!(r#"{{"content":[],"isError":{failed}}}"#);
        server.send(Ok(Event::Done(Outcome::Result(Json::parse(result).unwrap())))).unwrap();
        let found = done(events.next().await);
        match failed {
            false => assert_eq!(found, json!({"content": [], "isError": false})),
            true => assert_eq!(
                (&found["code"], &found["data"]["requiredCapabilities"]),
                (&json!(-32021), &json!({"roots": {}}))
            ),
        }
        assert!(answer.await.unwrap().is_err(), "the server is told that nobody can say");
    }
}

#[tokio::test(start_paused = true)]
async fn other_methods_cannot_ask_and_go_on() {
    let mut scene = Scene::new();
    let mut call = modern(BOTH);
    call.method = Method::COMPLETE;
    let (mut events, server) = scene.open(call).await;
    let answer = ask(&server, Method::ROOTS_LIST, "{}");
    ends(&server);
    assert_eq!(done(events.next().await), json!({"content": []}));
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_session_is_asked_what_it_declared() {
    let mut scene = Scene::new();
    let session = Arc::new(Session::new("s", Revision::V2025_11_25, Json::from_static("{}"), Json::from_static("{}")));
    let call = modern(r#"{"roots":{}}"#).with(|asked| asked.session = Some(session));
    let (mut events, server) = scene.open(call).await;
    let (roots, sample) = (ask(&server, Method::ROOTS_LIST, "{}"), ask(&server, Method::SAMPLE, "{}"));
    let Some(Ok(Event::Ask(question))) = events.next().await else { panic!("no question") };
    question.answer(Ok(Json::from_static(r#"{"roots":[]}"#)));
    assert!(events.next().now_or_never().is_none());
    assert!(roots.await.unwrap().is_ok());
    assert!(sample.await.unwrap().is_err(), "it goes on without");
    ends(&server);
    assert_eq!(done(events.next().await), json!({"content": []}));
}

#[tokio::test(start_paused = true)]
async fn an_address_to_visit_first_is_a_result_and_the_call_is_made_again() {
    const VISIT: &str = r#"{"code":-32042,"message":"m","data":{"elicitations":[{"mode":"url","url":"https://x/","message":"m","elicitationId":"e"}]}}"#;
    let times = Arc::new(Mutex::new(0));
    let mock = Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => GREETED,
        "tools/call" => {
            *times.lock().unwrap() += 1;
            if *times.lock().unwrap() % 2 == 1 { Answer::Error(VISIT) } else { Answer::Result("{}") }
        }
        _ => Answer::Result("{}"),
    });
    let era = http(&mock);
    let outcome = super::mock::ask(&era, modern(BOTH)).await.unwrap();
    let result: Value = outcome.result().unwrap().read().unwrap();
    let (key, asked) = result["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(
        asked,
        &json!({"method": "elicitation/create", "params": {"mode": "url", "url": "https://x/", "message": "m"}})
    );
    assert_eq!(era.parked(), 0, "nothing waits");
    let again = retry(&result, &json!({key: {"action": "accept"}}));
    assert!(super::mock::ask(&era, again).await.unwrap().result().is_some());
    assert_eq!(mock.last().call.params.as_str(), r#"{"name":"t","arguments":{"a":1},"_meta":{"progressToken":"p"}}"#);

    let declined = super::mock::ask(&era, retry(&result, &json!({key: {"action": "decline"}}))).await.unwrap();
    assert_eq!((declined.error_code(), mock.count(Method::TOOLS_CALL)), (Some(-32603), 2));
    let unable = super::mock::ask(&era, modern("{}")).await.unwrap();
    assert_eq!(unable.error_code(), Some(-32021));
    let session = Arc::new(Session::new("s", Revision::V2025_11_25, Json::from_static("{}"), Json::from_static("{}")));
    super::mock::ask(&era, modern(BOTH)).await.unwrap();
    let legacy = super::mock::ask(&era, modern(BOTH).with(|asked| asked.session = Some(session))).await.unwrap();
    assert_eq!(legacy.error_code(), Some(-32042), "as it is in its own era");
}

#[tokio::test(start_paused = true)]
async fn clients_that_can_be_asked_different_things_share_no_session() {
    let mut scene = Scene::new();
    let mut sessions = Vec::new();
    for capabilities in ["{}", BOTH, "{}", r#"{"elicitation":{}}"#, r#"{ "elicitation" : {"form":{}}}"#] {
        let (_events, server) = scene.open(modern(capabilities)).await;
        ends(&server);
        sessions.push(scene.mock.last().hop.session_id().unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(sessions, ["1", "2", "1", "3", "3"]);
    let declared: Vec<_> = {
        let log = scene.mock.log.lock().unwrap();
        let greetings = log.iter().filter(|outbound| outbound.call.method == Method::INITIALIZE);
        greetings.map(|greeting| greeting.call.params.member("capabilities").unwrap().to_string()).collect()
    };
    assert_eq!(
        declared[1..],
        ["{}", r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#, r#"{"elicitation":{}}"#]
    );
    assert_eq!(scene.era.sessions(), 3);
    // They are let go without another call, and so are their sessions at the server.
    tokio::time::sleep(Duration::from_secs(1300)).await;
    assert_eq!((scene.era.sessions(), scene.mock.ended.lock().unwrap().len()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_kept_as_long_as_a_call_of_it_is() {
    let mut scene = Scene::new();
    let (mut events, server) = scene.open(modern(BOTH)).await;
    tokio::time::sleep(Duration::from_secs(7200)).await;
    assert_eq!(scene.era.sessions(), 1);
    ends(&server);
    done(events.next().await);
    tokio::time::sleep(Duration::from_secs(700)).await;
    assert_eq!(scene.era.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_initialize_once_has_one_session_for_all() {
    let mock = Mock::new(|outbound, before| match (outbound.call.method.as_str(), before) {
        ("server/discover", _) => UNKNOWN,
        ("initialize", 0) => {
            outbound.hop.set_session_id(HeaderValue::from_static("only"));
            GREETED
        }
        ("initialize", _) => Answer::Error(r#"{"code":-32600,"message":"initialized already"}"#),
        _ => Answer::Result("{}"),
    });
    let era = http(&mock);
    for capabilities in ["{}", BOTH, "{}"] {
        super::mock::ask(&era, modern(capabilities)).await.unwrap();
        assert_eq!(mock.last().hop.session_id().unwrap(), "only");
    }
    assert_eq!(
        (mock.count(Method::INITIALIZE), era.sessions()),
        (3, 0),
        "a client's, and one to see whether any is taken"
    );
    assert_eq!(era.fault(), None);
}
