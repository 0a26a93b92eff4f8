use super::mock::*;
use crate::{
    Method, Reply, Revision, Session,
    error::find,
    json::Json,
    upstream::{
        era::{lanes::MAX_LANES, takes::SHARED_FOR},
        error::{Refused, Replaced, SessionLost, Status, Unwelcome},
    },
};
use futures_util::{future::join_all, stream};
use http::HeaderValue;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use std::time::Duration;
use tower::ServiceExt;

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
    assert_eq!(server.tasks().len(), 2, "the watch, and the service itself");
    drop(era);
    server.tasks().close();
    tokio::time::timeout(Duration::from_secs(1), server.tasks().wait()).await.expect("the watch ends");
}

#[tokio::test(start_paused = true)]
async fn sessions_end_with_the_service() {
    let mock = numbered(Arc::default());
    let era = http(&mock);
    list(&era).await.unwrap();
    let (a, b) = (session("a"), session("b"));
    for session in [&a, &b] {
        ask(&era, of(session)).await.unwrap();
    }
    let clone = era.clone();
    drop(era);
    assert!(mock.ended.lock().unwrap().is_empty(), "a clone may go on");
    b.close();
    while clone.sessions() > 1 {
        tokio::task::yield_now().await;
    }
    drop(clone);
    let mut ended = mock.ended.lock().unwrap().clone();
    ended.sort_unstable();
    assert_eq!(ended, ["0", "1", "2"], "each once");
}

#[tokio::test(start_paused = true)]
async fn a_session_does_not_end_before_the_calls_in_it() {
    let mock = Mock::new(|outbound, before| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from(before as u64));
            GREETED
        }
        "tools/list" => Answer::Reply(Reply::stream(stream::pending())),
        _ => Answer::Result("{}"),
    });
    let era = http(&mock);
    // The first is made after a handshake, the second at once.
    let first = era.clone().oneshot(of(&session("a"))).await.unwrap();
    let second = era.clone().oneshot(call(Method::TOOLS_LIST, "{}")).await.unwrap();
    drop(era);
    drop(first);
    assert!(mock.ended.lock().unwrap().is_empty(), "the other call goes on");
    drop(second);
    let mut ended = mock.ended.lock().unwrap().clone();
    ended.sort_unstable();
    assert_eq!(ended, ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn who_listens_keeps_no_session() {
    let mock = Mock::new(|outbound, before| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            outbound.hop.set_session_id(HeaderValue::from(before as u64));
            GREETED
        }
        _ => Answer::Reply(Reply::stream(stream::pending())),
    });
    let era = http(&mock);
    let _listening = era.clone().oneshot(call(Method::LISTEN, r#"{"notifications":{}}"#)).await.unwrap();
    drop(era);
    assert_eq!(*mock.ended.lock().unwrap(), ["0"]);
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

/// An initialize-era server that numbers its sessions, and refuses those that `refused` says, by the client's name.
fn choosy(refused: impl Fn(&str, usize) -> Option<Answer> + Send + Sync + 'static) -> Mock {
    Mock::new(move |outbound, before| match outbound.call.method.as_str() {
        "server/discover" => UNKNOWN,
        "initialize" => {
            let name: String =
                outbound.call.params.member("clientInfo").unwrap().member("name").unwrap().read().unwrap();
            outbound.hop.set_session_id(HeaderValue::from(before as u64));
            refused(&name, before).unwrap_or(GREETED)
        }
        _ => Answer::Result("{}"),
    })
}

const NOT_THIS: Answer = Answer::Error(r#"{"code":-32602,"message":"not in these words"}"#);
const FULL: Answer = Answer::Error(r#"{"code":-32000,"message":"too many sessions"}"#);

#[tokio::test(start_paused = true)]
async fn a_client_that_is_refused_for_what_it_says_leaves_all_others_their_own_sessions() {
    let status = || Answer::Fail(Status(http::StatusCode::BAD_REQUEST).into());
    for (refusal, words) in
        [((|| NOT_THIS) as fn() -> Answer, "not in these words"), (status, "HTTP status 400 Bad Request")]
    {
        let mock = choosy(move |name, _| (name == "odd").then(refusal));
        let era = http(&mock);
        let refused = ask(&era, of(&session("odd"))).await.unwrap_err();
        assert!(find::<Unwelcome>(&*refused).is_some() && refused.to_string().ends_with(words), "{refused}");
        assert!(find::<Refused>(&*refused).is_none(), "no sign that the server is of another kind");
        assert_eq!((era.fault(), era.sessions()), (None, 0));
        let tried = mock.ended.lock().unwrap().len();
        let mut own = Vec::new();
        for name in ["a", "b", "a"] {
            ask(&era, of(&session(name))).await.unwrap();
            own.push(id(&mock));
        }
        assert!(own[0] == own[2] && own[0] != own[1] && !own.contains(&"0".into()), "{own:?}");
        let before = mock.count(Method::INITIALIZE);
        assert!(ask(&era, of(&session("odd"))).await.is_err());
        assert_eq!(mock.count(Method::INITIALIZE), before + 1, "it is known what the server takes");
        assert_eq!(mock.ended.lock().unwrap().len(), tried, "and what was opened to see that has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_no_other_session_is_asked_again_in_a_while() {
    let full = Arc::new(AtomicBool::new(true));
    let still = full.clone();
    let mock = choosy(move |_, before| (before > 0 && still.load(SeqCst)).then_some(FULL));
    let era = http(&mock);
    for name in ["a", "b"] {
        ask(&era, of(&session(name))).await.unwrap();
        assert_eq!(id(&mock), "0", "all share the first");
    }
    assert_eq!((mock.count(Method::INITIALIZE), era.fault()), (3, None), "the gateway's, the client's, and one to see");
    full.store(false, SeqCst);
    tokio::time::advance(SHARED_FOR - Duration::from_secs(1)).await;
    ask(&era, of(&session("a"))).await.unwrap();
    assert_eq!(id(&mock), "0");
    tokio::time::advance(Duration::from_secs(1)).await;
    for (name, expected) in [("a", "3"), ("b", "4")] {
        ask(&era, of(&session(name))).await.unwrap();
        assert_eq!(id(&mock), expected, "it has room by now");
    }
    full.store(true, SeqCst);
    let refused = ask(&era, of(&session("c"))).await.unwrap_err();
    assert!(find::<Unwelcome>(&*refused).is_some(), "it was seen to take several");
    ask(&era, of(&session("a"))).await.unwrap();
    assert_eq!(id(&mock), "3");
}

#[tokio::test(start_paused = true)]
async fn an_outage_during_the_trial_is_no_verdict() {
    let mock = choosy(|name, before| match (name, before) {
        ("odd", _) => Some(NOT_THIS),
        (_, 2) => Some(Answer::Fail(Status(http::StatusCode::BAD_GATEWAY).into())),
        _ => None,
    });
    let era = http(&mock);
    assert!(find::<Status>(&*ask(&era, of(&session("odd"))).await.unwrap_err()).is_some());
    ask(&era, of(&session("a"))).await.unwrap();
    assert_eq!(id(&mock), "3");
}
