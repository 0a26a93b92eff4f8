use super::mock::*;
use crate::{
    BoxError, Method, Revision,
    error::{find, never_sent},
    upstream::error::{Closed, Connect, NotStarted, Protocol, Refused, Status},
};
use futures_util::{FutureExt, future::join_all};
use http::StatusCode;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// A server that answers `server/discover` so, and `initialize` as an old one does.
fn asked(answer: fn() -> Answer) -> Mock {
    Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => answer(),
        "initialize" => GREETED,
        _ => Answer::Result("{}"),
    })
}

fn failure(error: impl Into<BoxError>) -> Answer {
    Answer::Fail(error.into())
}

#[tokio::test(start_paused = true)]
async fn answers_that_mean_modern() {
    let answers: [fn() -> Answer; 6] = [
        || MODERN,
        || TOO_OLD,
        || Answer::Error(r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28","2027-01-01"]}}"#),
        || Answer::Error(r#"{"code":-32020,"message":""}"#),
        || Answer::Error(r#"{"code":-32021,"message":""}"#),
        || Answer::Result(r#"{"supportedVersions":["2025-11-25","2026-07-28"]}"#),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let mock = asked(answer);
        let era = http(&mock);
        assert!(list(&era).await.is_ok(), "{at}");
        assert_eq!(mock.methods(), ["server/discover", "tools/list"], "{at}");
        assert_eq!(era.revision(), Some(Revision::V2026_07_28));
        assert!(mock.last().hop.is_modern());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_mean_legacy() {
    let answers: [fn() -> Answer; 9] = [
        || UNKNOWN,
        || Answer::Error(r#"{"code":-32000,"message":"Server not initialized"}"#),
        || Answer::Error(r#"{"code":-32022,"message":"","data":{"supported":["2025-11-25"]}}"#),
        || Answer::Error(r#""no error object""#),
        || Answer::Result(r#"{"supportedVersions":["2025-06-18"]}"#),
        || Answer::Result("{}"),
        || failure(Status(StatusCode::BAD_REQUEST)),
        || failure(Status(StatusCode::NOT_FOUND)),
        || failure(Protocol("text/html".into())),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let mock = asked(answer);
        let era = http(&mock);
        assert!(list(&era).await.is_ok(), "{at}");
        let expected = ["server/discover", "initialize", "notifications/initialized", "tools/list"];
        assert_eq!(mock.methods(), expected, "{at}");
        assert_eq!(era.revision(), Some(Revision::V2025_06_18));
        assert_eq!(era.server_info().unwrap().as_str(), r#"{"name":"old"}"#);
    }
}

#[tokio::test(start_paused = true)]
async fn outages_are_no_verdict_and_the_next_call_asks_again() {
    let answers: [fn() -> Answer; 4] = [
        || failure(Connect("refused".into())),
        || failure(Closed { sent: true }),
        || failure(Status(StatusCode::SERVICE_UNAVAILABLE)),
        || failure(Status(StatusCode::TOO_MANY_REQUESTS)),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let mock = Mock::new(move |outbound, before| match (outbound.call.method.as_str(), before) {
            ("server/discover", 0) => answer(),
            _ => MODERN,
        });
        let era = http(&mock);
        let error = list(&era).await.unwrap_err();
        assert!(never_sent(&*error), "{at}: the call itself was not sent: {error:?}");
        assert_eq!(era.revision(), None);
        assert!(era.fault().is_some());
        assert!(list(&era).await.is_ok(), "{at}");
        assert_eq!(era.fault(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_guess_that_is_not_kept() {
    let mock = asked(|| Answer::Silence);
    let era = child(&mock);
    let begun = Instant::now();
    assert!(list(&era).await.is_ok());
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    mock.epoch.store(2, SeqCst);
    assert!(list(&era).await.is_ok());
    assert_eq!(mock.count(Method::DISCOVER), 2, "asked again on the next connection");
}

#[tokio::test(start_paused = true)]
async fn a_slow_starter_that_is_modern_after_all_is_asked_once_more() {
    let mock = Mock::new(|outbound, before| match (outbound.call.method.as_str(), before) {
        ("server/discover", 0) => Answer::Silence,
        ("server/discover", _) => MODERN,
        ("initialize", _) => TOO_OLD,
        _ => Answer::Result("{}"),
    });
    let era = child(&mock);
    assert!(list(&era).await.is_ok());
    assert_eq!(mock.methods(), ["server/discover", "initialize", "server/discover", "tools/list"]);
}

#[tokio::test(start_paused = true)]
async fn a_known_era_is_tried_first_on_the_next_connection_and_doubted_if_that_fails() {
    let failures: [fn() -> Answer; 3] =
        [|| UNKNOWN, || failure(Status(StatusCode::NOT_FOUND)), || failure(Protocol("text/html".into()))];
    for fails in failures {
        let mock = Mock::new(move |outbound, _| match (outbound.call.method.as_str(), outbound.hop.epoch) {
            ("server/discover", 3) => MODERN,
            ("server/discover", _) => UNKNOWN,
            ("initialize", 3) => fails(),
            ("initialize", _) => GREETED,
            _ => Answer::Result("{}"),
        });
        let era = child(&mock);
        for (epoch, revision) in [(1, Revision::V2025_06_18), (2, Revision::V2025_06_18), (3, Revision::V2026_07_28)] {
            mock.epoch.store(epoch, SeqCst);
            mock.log.lock().unwrap().clear();
            assert!(list(&era).await.is_ok());
            assert_eq!(era.revision(), Some(revision));
            assert_eq!(mock.methods()[0], if epoch == 1 { "server/discover" } else { "initialize" });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_era_is_not_doubted_where_the_server_asks_for_credentials() {
    let mock = Mock::new(|outbound, _| match (outbound.call.method.as_str(), outbound.hop.epoch) {
        ("server/discover", _) => UNKNOWN,
        ("initialize", 2) => failure(Status(StatusCode::UNAUTHORIZED)),
        ("initialize", _) => GREETED,
        _ => Answer::Result("{}"),
    });
    let era = child(&mock);
    assert!(list(&era).await.is_ok());
    mock.epoch.store(2, SeqCst);
    mock.log.lock().unwrap().clear();
    assert!(find::<Status>(&*list(&era).await.unwrap_err()).is_some());
    assert_eq!(mock.methods(), ["initialize"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_exits_over_the_question_is_greeted_with_initialize() {
    let epoch = Arc::new(std::sync::OnceLock::<Mock>::new());
    let crash = epoch.clone();
    let mock = Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => {
            crash.get().unwrap().epoch.store(2, SeqCst);
            failure(Closed { sent: true })
        }
        "initialize" => GREETED,
        _ => Answer::Result("{}"),
    });
    assert!(epoch.set(mock.clone()).is_ok());
    let era = child(&mock);
    assert!(list(&era).await.is_ok());
    assert_eq!(mock.methods(), ["server/discover", "initialize", "notifications/initialized", "tools/list"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_transport_is_asked_for_nothing_but_initialize() {
    let mock = asked(|| MODERN);
    let server = crate::registry::Server::http("a", "a", "http://localhost/").unwrap();
    let era = super::super::Era::initialize_only(mock.clone(), &server);
    assert!(list(&era).await.is_ok());
    assert_eq!(mock.count(Method::DISCOVER), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_calls_share_one_handshake() {
    let mock = asked(|| UNKNOWN);
    let era = http(&mock);
    let all = join_all((0..1000).map(|_| list(&era))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((mock.count(Method::DISCOVER), mock.count(Method::INITIALIZE)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_outlives_whoever_began_it() {
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let mock = Mock::new(move |outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => Answer::After(held.clone(), r#"{"protocolVersion":"2025-11-25"}"#),
        _ => Answer::Result("{}"),
    });
    let era = shared(&mock);
    for _ in 0..3 {
        let mut given_up = Box::pin(list(&era));
        assert!((&mut given_up).now_or_never().is_none());
    }
    assert_eq!(mock.count(Method::INITIALIZE), 1);
    // Nobody waits when the answer comes; the next caller finds it, however much later.
    gate.add_permits(1);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(list(&era).await.is_ok());
    assert_eq!(mock.count(Method::INITIALIZE), 1, "a server may accept it only once");
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_are_told_of_a_failure_and_the_next_call_tries_again() {
    let mock = Mock::new(|outbound, before| match (outbound.call.method.as_str(), before) {
        ("server/discover", _) => UNKNOWN,
        ("initialize", 0) => Answer::Silence,
        ("initialize", 1) => Answer::Error(r#"{"code":-32602,"message":"not you"}"#),
        ("initialize", 2) => Answer::Result(r#"{"protocolVersion":"1999-01-01"}"#),
        ("initialize", _) => GREETED,
        _ => Answer::Result("{}"),
    });
    let era = http(&mock);
    let all = join_all((0..10).map(|_| list(&era))).await;
    assert!(all.iter().all(|result| find::<NotStarted>(&**result.as_ref().unwrap_err()).is_some()));
    assert_eq!(mock.count(Method::INITIALIZE), 1);
    let refused = list(&era).await.unwrap_err();
    assert!(find::<Refused>(&*refused).is_some());
    assert_eq!(era.fault().unwrap(), "the server refused the handshake: not you");
    assert!(find::<Protocol>(&*list(&era).await.unwrap_err()).is_some());
    assert!(list(&era).await.is_ok());
    assert_eq!(era.fault(), None);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_handshake_hold_no_place_it_needs() {
    let mock = asked(|| UNKNOWN).with_places(2);
    let era = http(&mock);
    let all = join_all((0..20).map(|_| list(&era)));
    let all = tokio::time::timeout(Duration::from_secs(60), all).await.expect("no deadlock");
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_dropped_at_any_point_and_the_next_one_is_served() {
    for polls in 0..12 {
        let mock = asked(|| UNKNOWN);
        let era = shared(&mock);
        let mut dropped = Box::pin(list(&era));
        for _ in 0..polls {
            if futures_util::poll!(&mut dropped).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dropped);
        assert!(list(&era).await.is_ok(), "{polls}");
        assert_eq!(mock.count(Method::INITIALIZE), 1, "{polls}");
        assert_eq!(mock.count(Method::INITIALIZED), 1, "{polls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_changed_its_revision_is_asked_once_more() {
    let mock = Mock::new(|outbound, before| match (outbound.call.method.as_str(), before) {
        ("server/discover", 0) => MODERN,
        ("server/discover", _) => UNKNOWN,
        ("initialize", _) => GREETED,
        ("tools/list", 1) => TOO_OLD,
        _ => Answer::Result("{}"),
    });
    let era = http(&mock);
    list(&era).await.unwrap();
    assert!(list(&era).await.unwrap().result().is_some(), "the call was turned away unexecuted");
    assert_eq!(era.revision(), Some(Revision::V2025_06_18));

    let stubborn = Mock::new(|outbound, _| if outbound.call.method == Method::DISCOVER { MODERN } else { TOO_OLD });
    let era = http(&stubborn);
    for _ in 0..2 {
        assert_eq!(list(&era).await.unwrap().error_code(), Some(-32022));
    }
    assert!(stubborn.count(Method::TOOLS_LIST) <= 4, "each call is made twice at most");
}
