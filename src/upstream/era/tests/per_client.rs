//! A connection for each client, at servers that do not say which call a question is about.

use super::mock::*;
use crate::{
    Call, Method, Reply, Revision, Session,
    error::{find, never_sent},
    json::{Json, Params, object::Edit},
    registry::{Server, Sessions},
    reply::{Ask, Event, Events, Outcome},
    upstream::{
        InSession, Outbound,
        era::{MAX_CONNECTIONS, PerClient},
        error::Unwelcome,
    },
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::ServiceExt;

const FORM: &str = r#"{"elicitation":{}}"#;

/// Connections to one server, in the order they were made.
struct Scene {
    service: PerClient<Mock>,
    made: Arc<Mutex<Vec<Mock>>>,
}

impl Scene {
    fn new(script: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        let (made, script) = (Arc::<Mutex<Vec<Mock>>>::default(), Arc::new(script));
        let connect = {
            let made = made.clone();
            move || {
                let mut made = made.lock().unwrap();
                let (number, script) = (made.len(), script.clone());
                made.push(Mock::new(move |outbound, _| match is_odd(outbound) {
                    true => Answer::Error(r#"{"code":-32602,"message":"not in these words"}"#),
                    false => script(number, outbound.call.method.as_str()),
                }));
                made.last().unwrap().clone()
            }
        };
        let server = Server::stdio("a", "a", "a").sessions(Sessions::PerClient);
        Self { service: PerClient::new(connect, &server), made }
    }

    /// A server of the initialize era that asks in every call.
    fn asking() -> Self {
        Self::new(|_, method| match method {
            "tools/call" => {
                let (ask, answer) = Ask::new(Method::ELICIT, Params::empty());
                let done = async move {
                    let said = answer.await.expect("an answer").expect("no error");
                    Ok(Event::Done(Outcome::Result(said)))
                };
                Answer::Reply(Reply::stream(stream::iter([Ok(ask.into())]).chain(stream::once(done))))
            }
            method => plain(method),
        })
    }

    async fn events(&self, call: Call) -> Events {
        self.service.clone().oneshot(call).await.unwrap().into_events()
    }

    /// How many calls of tools each connection has had.
    fn calls(&self) -> Vec<usize> {
        self.made.lock().unwrap().iter().map(|mock| mock.count(Method::TOOLS_CALL)).collect()
    }
}

/// Whether it is the greeting of the client that no server likes.
fn is_odd(outbound: &Outbound) -> bool {
    let name = outbound.call.params.member("clientInfo").and_then(|info| info.member("name"));
    name.is_some_and(|name| name.as_str() == r#""odd""#)
}

fn plain(method: &str) -> Answer {
    match method {
        "initialize" => GREETED,
        "server/discover" => UNKNOWN,
        _ => Answer::Result("{}"),
    }
}

fn session(id: &str) -> Arc<Session> {
    let info = Json::parse(format!(r#"{{"name":"{id}"}}"#)).unwrap();
    Arc::new(Session::new(id, Revision::V2025_11_25, info, Json::from_static(FORM)))
}

fn calls(session: Option<&Arc<Session>>, capabilities: &str) -> Call {
    let params = format!(r#"{{"name":"t","_meta":{{"io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}"#);
    call(Method::TOOLS_CALL, &params).with(|asked| asked.session = session.cloned())
}

async fn outcome(events: &mut Events) -> Value {
    match events.next().await {
        Some(Ok(Event::Done(Outcome::Result(json) | Outcome::Error(json)))) => json.read().unwrap(),
        other => panic!("no outcome: {other:?}"),
    }
}

async fn asked(events: &mut Events) -> Ask {
    match events.next().await {
        Some(Ok(Event::Ask(ask))) => *ask,
        other => panic!("no question: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_session_has_its_own_that_bears_its_name_and_ends_with_it() {
    let scene = Scene::asking();
    let (ada, bob) = (session("ada"), session("bob"));
    let mut ada_hears = scene.events(calls(Some(&ada), FORM)).await;
    let mut bob_hears = scene.events(calls(Some(&bob), FORM)).await;
    asked(&mut ada_hears).await.answer(Ok(Json::from_static(r#"{"for":"ada"}"#)));
    asked(&mut bob_hears).await.answer(Ok(Json::from_static(r#"{"for":"bob"}"#)));
    assert_eq!(outcome(&mut bob_hears).await, json!({"for": "bob"}));
    assert_eq!(outcome(&mut ada_hears).await, json!({"for": "ada"}));
    asked(&mut scene.events(calls(Some(&ada), FORM)).await).await;
    assert_eq!((scene.calls(), scene.service.connections()), (vec![0, 2, 1], 2));
    let names: Vec<String> = {
        let made = scene.made.lock().unwrap();
        let log = |mock: &Mock| mock.log.lock().unwrap().clone();
        let greetings = made.iter().flat_map(log).filter(|outbound| outbound.call.method == Method::INITIALIZE);
        let name = |greeting: Outbound| greeting.call.params.member("clientInfo")?.member("name")?.read().ok();
        greetings.map(|greeting| name(greeting).unwrap()).collect()
    };
    assert_eq!(names[1..], ["ada", "bob"]);

    ada.close();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(scene.service.connections(), 1);
    tokio::time::sleep(Duration::from_secs(1300)).await;
    assert_eq!(scene.service.connections(), 0, "nobody has used it for long");
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_session_are_alone_where_they_can_be_asked() {
    let scene = Scene::asking();
    let question = |result: &Value| {
        let (key, _) = result["inputRequests"].as_object().unwrap().iter().next().unwrap();
        (key.clone(), result["requestState"].to_string())
    };
    // Parked calls are on their way still.
    let first = outcome(&mut scene.events(calls(None, FORM)).await).await;
    let second = outcome(&mut scene.events(calls(None, FORM)).await).await;
    assert_eq!((scene.calls(), scene.service.connections()), (vec![0, 1, 1], 2));
    for (result, name) in [(second, "second"), (first, "first")] {
        let (key, state) = question(&result);
        let answers = json!({key: {"for": name}}).to_string();
        let edits = [Edit::Set("inputResponses", answers.as_bytes()), Edit::Set("requestState", state.as_bytes())];
        let call = calls(None, FORM);
        let retry = call.with(|asked| asked.params = asked.params.edit_shallow(&edits));
        assert_eq!(outcome(&mut scene.events(retry).await).await, json!({"for": name}));
    }
    assert_eq!(scene.calls(), [0, 1, 1], "an answer makes no other call");
    let _third = outcome(&mut scene.events(calls(None, FORM)).await).await;
    assert_eq!(scene.calls(), [0, 2, 1], "the first that is free");
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_where_the_next_call_is_and_keeps_the_connection() {
    let scene = Scene::new(|_, method| match method {
        "subscriptions/listen" => Answer::Reply(Reply::stream(stream::pending())),
        method => plain(method),
    });
    let mut listen = calls(None, FORM).with(|asked| asked.method = Method::LISTEN);
    listen.extensions.insert(InSession);
    let events = scene.events(listen).await;
    scene.events(calls(None, FORM)).await;
    assert_eq!((scene.calls(), scene.service.connections()), (vec![0, 1], 1));
    tokio::time::sleep(Duration::from_secs(1300)).await;
    assert_eq!(scene.service.connections(), 1);
    drop(events);
    tokio::time::sleep(Duration::from_secs(1300)).await;
    assert_eq!(scene.service.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_today_and_the_gateways_own_calls_need_no_other() {
    let scene = Scene::new(|_, method| if method == "server/discover" { MODERN } else { Answer::Result("{}") });
    for call in [calls(Some(&session("ada")), FORM), calls(None, FORM), call(Method::TOOLS_LIST, "{}")] {
        scene.events(call).await;
    }
    assert_eq!((scene.calls(), scene.service.connections()), (vec![2], 0));
    let old = Scene::new(|_, method| plain(method));
    old.events(call(Method::TOOLS_LIST, "{}")).await;
    assert_eq!(old.service.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_are_bounded_and_those_that_nobody_uses_make_room() {
    let scene = Scene::asking();
    let sessions: Vec<_> = (0..=MAX_CONNECTIONS).map(|at| session(&at.to_string())).collect();
    let mut held = Vec::new();
    for session in &sessions[1..] {
        held.push(scene.events(calls(Some(session), FORM)).await);
    }
    let refused = scene.service.clone().oneshot(calls(Some(&sessions[0]), FORM)).await.unwrap_err();
    assert!(never_sent(&*refused), "{refused}");
    drop(held.pop());
    asked(&mut scene.events(calls(Some(&sessions[0]), FORM)).await).await;
    assert_eq!(scene.service.connections(), MAX_CONNECTIONS);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_initialize_from_one_connection_has_one_for_all() {
    let scene = Scene::new(|number, method| match (number, method) {
        (1.., "initialize") => Answer::Error(r#"{"code":-32600,"message":"once only"}"#),
        _ => plain(method),
    });
    for id in ["ada", "bob"] {
        assert_eq!(outcome(&mut scene.events(calls(Some(&session(id)), FORM)).await).await, json!({}));
    }
    assert_eq!(scene.calls(), [2, 0, 0], "a client's, and one to see whether any is taken");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_for_what_it_says_leaves_all_others_their_own_connections() {
    let scene = Scene::new(|_, method| plain(method));
    for _ in 0..2 {
        let refused = scene.service.clone().oneshot(calls(Some(&session("odd")), FORM)).await.unwrap_err();
        assert!(find::<Unwelcome>(&*refused).is_some() && never_sent(&*refused), "{refused}");
        assert_eq!(scene.service.fault(), None);
    }
    for id in ["ada", "bob"] {
        assert_eq!(outcome(&mut scene.events(calls(Some(&session(id)), FORM)).await).await, json!({}));
    }
    assert_eq!(scene.calls(), [0, 0, 0, 1, 1], "the common one, that of the odd client, one to see, and theirs");
}
