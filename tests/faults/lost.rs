//! Servers that forget their sessions.

use crate::{
    client::Session,
    entry, front, gateway,
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
    },
};
use futures_util::future::join_all;
use std::time::Duration;

#[tokio::test]
async fn a_lost_session_is_begun_anew_once_however_many_calls_wait() {
    let (bad, good) = (Faulty::start(Wire::Legacy).await, Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    let before = bad.ledger().methods("initialize");
    bad.forget();
    let ended = join_all((0..50).map(|_| session.act("act", Fault::None))).await;
    for ended in ended {
        assert_eq!(ended.text(), Some(ended.key.as_str()), "{ended:?}");
        assert_eq!(bad.ledger().calls(&ended.key), 1, "{ended:?}");
    }
    // One for the clients' session, and one for the gateway's own that checks and lists.
    let begun = bad.ledger().methods("initialize") - before;
    assert!((1..=2).contains(&begun), "{begun} sessions were begun");
}

#[tokio::test]
async fn a_server_that_forgets_for_ever_gets_three_attempts_and_the_client_an_error() {
    let (bad, good) = (Faulty::start(Wire::Legacy).await, Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    let before = bad.ledger().methods("tools/call");
    bad.forgetful(true);
    bad.forget();
    let ended = session.act("act", Fault::None).await;
    assert!(ended.is_error() && ended.took < Duration::from_secs(1), "{ended:?}");
    let attempts = bad.ledger().methods("tools/call") - before;
    assert!((1..=3).contains(&attempts), "{attempts} attempts");
    assert_eq!(bad.ledger().calls(&ended.key), 0, "it was never run");
    session.untouched("echo").await;

    bad.forgetful(false);
    session.recovered("act").await;
}
