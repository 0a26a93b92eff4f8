use super::mock::*;
use crate::{
    Method, Revision, Session,
    error::find,
    json::Json,
    upstream::{
        era::lanes::MAX_LANES,
        error::{Replaced, SessionLost},
    },
};
use futures_util::future::join_all;
use http::HeaderValue;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use std::time::Duration;

fn session(id: &str) -> Arc<Session> {
    let info = Json::parse(format!("{{\"name\":\"{id}\"}}")).unwrap();
    Arc::new(Session::new(id, Revision::V2025_11_25, info, Json::from_static("{}")))
}

/// An initialize-era server that numbers its sessions; those whose number is below `lost` are unknown to it.
fn numbered(lost: Arc<AtomicUsize>) -> Mock {
    Mock::new(move |outbound, before| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from(before as u64));
            GREETED
        }
        _ => {
            let id: usize = outbound.hop.session_id().unwrap().to_str().unwrap().parse().unwrap();
            if id < lost.load(SeqCst) { Answer::Fail(SessionLost.into()) } else { Answer::Result("{}") }
        }
    })
}

fn id(mock: &Mock) -> String {
    mock.last().hop.session_id().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_client_session_has_one_of_its_own_and_other_calls_share_one() {
    let mock = numbered(Arc::default());
    let era = http(&mock);
    let (a, b) = (session("a"), session("b"));
    list(&era).await.unwrap();
    assert_eq!(id(&mock), "0");
    for (session, expected) in [(&a, "1"), (&b, "2"), (&a, "1")] {
        ask(&era, of(session)).await.unwrap();
        assert_eq!(id(&mock), expected);
    }
    let greetings = mock.log.lock().unwrap().clone();
    let mut greetings = greetings.iter().filter(|outbound| outbound.call.method == Method::INITIALIZE);
    let info = greetings.nth(1).unwrap().call.params.member("clientInfo").unwrap();
    assert_eq!(info.as_str(), r#"{"name":"a"}"#, "the client's own name");
    assert_eq!(mock.count(Method::DISCOVER), 1, "the era is known by then");

    a.close();
    while era.sessions() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*mock.ended.lock().unwrap(), ["1"], "its session at the server ends with it");
    ask(&era, of(&session("c"))).await.unwrap();
    assert_eq!(era.sessions(), 2);
    tokio::time::advance(Duration::from_secs(601)).await;
    ask(&era, of(&session("d"))).await.unwrap();
    assert_eq!(era.sessions(), 1, "the idle ones are let go");
    assert_eq!(mock.ended.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_watch_outlives_the_service() {
    let mock = numbered(Arc::default());
    let server = crate::registry::Server::http("a", "a", "http://localhost/").unwrap();
    let era = crate::upstream::era::Era::new(mock.clone(), &server);
    let session = session("a");
    ask(&era, of(&session)).await.unwrap();
    assert_eq!(server.tasks().len(), 1);
    drop(era);
    server.tasks().close();
    tokio::time::timeout(Duration::from_secs(1), server.tasks().wait()).await.expect("the watch ends");
}

#[tokio::test(start_paused = true)]
async fn sessions_are_bounded() {
    let mock = numbered(Arc::default());
    let era = http(&mock);
    for n in 0..MAX_LANES + 10 {
        ask(&era, of(&session(&n.to_string()))).await.unwrap();
    }
    assert_eq!(era.sessions(), MAX_LANES);
}

#[tokio::test(start_paused = true)]
async fn without_session_ids_or_in_shared_mode_all_share_one_handshake() {
    let plain = Mock::new(|outbound, _| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => GREETED,
        _ => Answer::Result("{}"),
    });
    let numbered = numbered(Arc::default());
    for (era, mock) in [(http(&plain), &plain), (shared(&numbered), &numbered)] {
        for name in ["a", "b"] {
            ask(&era, of(&session(name))).await.unwrap();
        }
        assert_eq!((mock.count(Method::INITIALIZE), era.sessions()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_opened_once_more_however_many_calls_wait() {
    let lost = Arc::<AtomicUsize>::default();
    let mock = numbered(lost.clone());
    let era = shared(&mock);
    list(&era).await.unwrap();
    lost.store(1, SeqCst);
    let all = join_all((0..100).map(|_| list(&era))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(mock.count(Method::INITIALIZE), 2);
    assert_eq!(mock.count(Method::TOOLS_LIST), 1 + 100 + 100, "each is repeated once");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_for_ever_takes_three_attempts() {
    let mock = numbered(Arc::new(AtomicUsize::new(usize::MAX)));
    for era in [shared(&mock), http(&mock)] {
        mock.log.lock().unwrap().clear();
        let error = ask(&era, of(&session("a"))).await.unwrap_err();
        assert!(find::<SessionLost>(&*error).is_some());
        assert_eq!(mock.count(Method::TOOLS_LIST), 3);
        assert!(mock.count(Method::INITIALIZE) <= 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_for_a_replaced_connection_is_sent_on_the_new_one() {
    let mock = Mock::new(|outbound, before| match (outbound.call.method.as_str(), before) {
        ("server/discover", _) => MODERN,
        // The connection is replaced between the look at its number and the call.
        ("tools/list", 1) => Answer::Fail(Replaced.into()),
        _ => Answer::Result("{}"),
    });
    let era = child(&mock);
    list(&era).await.unwrap();
    list(&era).await.unwrap();
    assert_eq!(mock.methods(), ["server/discover", "tools/list", "tools/list", "server/discover", "tools/list"]);
    mock.epoch.store(2, SeqCst);
    list(&era).await.unwrap();
    assert_eq!(mock.last().hop.epoch, 2);
    assert_eq!(mock.count(Method::DISCOVER), 3);
}

#[tokio::test(start_paused = true)]
async fn a_guess_costs_its_time_once_and_not_for_each_client() {
    let mock = Mock::new(|outbound, before| match outbound.call.method.as_str() {
        "server/discover" => Answer::Silence,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from(before as u64));
            GREETED
        }
        _ => Answer::Result("{}"),
    });
    let era = http(&mock);
    list(&era).await.unwrap();
    for name in ["a", "b"] {
        ask(&era, of(&session(name))).await.unwrap();
    }
    assert_eq!((mock.count(Method::DISCOVER), mock.count(Method::INITIALIZE)), (1, 3));
}
