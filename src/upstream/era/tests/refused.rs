use super::mock::*;
use crate::{
    BoxError, Method,
    error::find,
    json::{Json, Params},
    reply::{Event, Outcome},
    upstream::{
        era::lane::IN_VAIN_FOR,
        error::{SessionRefused, Status},
    },
};
use futures_util::{StreamExt, future::join_all};
use http::{HeaderValue, StatusCode};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tower::ServiceExt;

const NO_SESSION: &str = r#"{"code":-32000,"message":"Bad Request: No valid session ID provided"}"#;

/// The refusal as a JSON-RPC error, and as a mere status.
fn refusal(told: bool) -> Answer {
    Answer::Fail(SessionRefused::new(StatusCode::BAD_REQUEST, told.then(|| Json::from_static(NO_SESSION))).into())
}

/// An initialize-era server that numbers its sessions, and refuses what `refuses` says, by method and session.
fn refusing(told: bool, refuses: impl Fn(&str, usize) -> bool + Send + Sync + 'static) -> Mock {
    Mock::new(move |outbound, before| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from(before as u64));
            GREETED
        }
        method => {
            let id = outbound.hop.session_id().unwrap().to_str().unwrap().parse().unwrap();
            if refuses(method, id) { refusal(told) } else { Answer::Result("{}") }
        }
    })
}

/// What comes of a refusal that is passed on.
fn is_passed_on(ended: Result<Outcome, BoxError>, told: bool) -> bool {
    match ended {
        Ok(outcome) => told && outcome.error_code() == Some(-32000),
        Err(error) => !told && find::<Status>(&*error).is_some() && find::<SessionRefused>(&*error).is_none(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_begun_anew_once_however_many_calls_wait() {
    for told in [true, false] {
        let lost = Arc::<AtomicUsize>::default();
        let known = lost.clone();
        let mock = refusing(told, move |_, id| id < known.load(SeqCst));
        let era = shared(&mock);
        list(&era).await.unwrap();
        for lives in 1..4 {
            lost.store(lives, SeqCst);
            let all = join_all((0..100).map(|_| list(&era))).await;
            let answered = |ended: &Result<Outcome, _>| ended.as_ref().is_ok_and(|outcome| outcome.result().is_some());
            assert!(all.iter().all(answered), "{told}");
            assert_eq!(mock.count(Method::INITIALIZE), 1 + lives, "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_ping_shows_by_itself_that_the_session_is_gone() {
    for told in [true, false] {
        let mock = refusing(told, |_, id| id == 0);
        let era = http(&mock);
        let answer = ask(&era, call(Method::PING, "{}")).await.unwrap();
        assert!(answer.result().is_some(), "{told}");
        assert_eq!((mock.count(Method::PING), mock.count(Method::INITIALIZE)), (2, 2), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_in_a_session_that_stands_costs_no_handshake() {
    for told in [true, false] {
        let mock = refusing(told, |method, _| method == "tools/list");
        let era = http(&mock);
        for calls in 1..4 {
            assert!(is_passed_on(list(&era).await, told), "{told}");
            assert_eq!((mock.count(Method::TOOLS_LIST), mock.count(Method::INITIALIZE)), (calls, 1), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_every_session_gets_a_new_one_now_and_then() {
    for told in [true, false] {
        let mock = refusing(told, |method, _| method != "notifications/initialized");
        let era = http(&mock);
        for begun in 2..4 {
            for _ in 0..5 {
                assert!(is_passed_on(list(&era).await, told), "{told}");
                assert!(is_passed_on(ask(&era, call(Method::PING, "{}")).await, told), "{told}");
                assert_eq!(mock.count(Method::INITIALIZE), begun, "{told}");
            }
            tokio::time::advance(IN_VAIN_FOR - Duration::from_secs(1)).await;
            assert!(is_passed_on(list(&era).await, told), "{told}");
            assert_eq!(mock.count(Method::INITIALIZE), begun, "{told}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_has_not_refused_its_session() {
    let mock = Mock::new(|outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from_static("0"));
            GREETED
        }
        "tools/list" => refusal(true),
        "ping" => Answer::Silence,
        _ => Answer::Result("{}"),
    });
    assert!(is_passed_on(list(&http(&mock)).await, true));
    assert_eq!(mock.count(Method::INITIALIZE), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_listener_hears_of_the_next_session_or_that_there_is_nothing_to_hear() {
    let listen = || call(Method::LISTEN, r#"{"notifications":{"toolsListChanged":true}}"#);
    for (stands, sessions, honoured) in
        [(true, 1, r#"{"notifications":{}}"#), (false, 2, r#"{"notifications":{"toolsListChanged":true}}"#)]
    {
        let mock = refusing(false, move |method, id| id == 0 && (!stands || method == "subscriptions/listen"));
        let mut events = http(&mock).oneshot(listen()).await.unwrap().into_events();
        let Some(Ok(Event::Note(note))) = events.next().await else { panic!("no acknowledgement") };
        let expected: Params = Params::parse(Json::from_static(honoured)).unwrap();
        assert_eq!((note.params.as_str(), mock.count(Method::INITIALIZE)), (expected.as_str(), sessions));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_of_which_nothing_is_known_is_told_so_and_does_not_wait_for_ever() {
    let mock = Mock::new(|outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from_static("0"));
            GREETED
        }
        "subscriptions/listen" => refusal(false),
        _ => Answer::Silence,
    });
    let listen = call(Method::LISTEN, r#"{"notifications":{"toolsListChanged":true}}"#);
    let refused = http(&mock).oneshot(listen).await.err();
    assert!(refused.is_some_and(|error| find::<SessionRefused>(&*error).is_some()));
}
