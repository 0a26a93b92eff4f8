//! Servers that are not there.

use crate::{
    CONNECT, RECOVERY,
    client::Session,
    entry, front, gateway,
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
    },
    timed,
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::sleep;

const WITHIN: Duration = CONNECT.saturating_add(Duration::from_millis(500));

#[tokio::test]
async fn a_refused_connection_is_an_error_at_once_and_the_server_is_back_within_five_seconds() {
    // All at once: most of the time is waiting.
    let tries = Wire::ALL.map(|wire| async move {
        let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;

        bad.down().await;
        let refused = session.act("act", Fault::None).await;
        assert!(refused.is_error() && refused.took < WITHIN, "{wire:?} {refused:?}");
        // Out of the pool: nobody waits for the next attempt.
        for _ in 0..50 {
            let refused = session.act("act", Fault::None).await;
            assert!(refused.is_error() && refused.took < WITHIN, "{wire:?} {refused:?}");
            assert_eq!(bad.ledger().calls(&refused.key), 0);
        }
        session.untouched("echo").await;
        // Long enough for the attempts to be as rare as they get.
        sleep(Duration::from_secs(8)).await;

        bad.up();
        let back = session.recovered("act").await;
        assert!(back < RECOVERY, "{wire:?} {back:?}");
        session.untouched("echo").await;
    });
    join_all(tries).await;
}

#[tokio::test]
async fn a_dead_replica_is_passed_over_and_no_call_fails() {
    for wire in [Wire::Modern, Wire::Legacy] {
        let (first, second) = (Faulty::start(wire).await, Faulty::start(wire).await);
        let front = gateway(vec![entry("bad-1", "bad", &first), entry("bad-2", "bad", &second)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        first.down().await;
        for _ in 0..20 {
            let (ended, took) = timed(session.act("act", Fault::None)).await;
            assert_eq!(ended.text(), Some(ended.key.as_str()), "{wire:?} {ended:?}");
            assert!(took < WITHIN, "{wire:?} {took:?}");
            assert_eq!(second.ledger().calls(&ended.key), 1, "{wire:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_was_down_at_the_start_comes_by_itself() {
    let tries = Wire::ALL.map(|wire| async move {
        let (bad, good) = (Faulty::down_at_first(wire), Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        session.untouched("echo").await;
        let refused = session.act("act", Fault::None).await;
        assert!(refused.is_error(), "{wire:?} {refused:?}");
        sleep(Duration::from_secs(8)).await;
        bad.up();
        let back = session.recovered("act").await;
        assert!(back < RECOVERY, "{wire:?} {back:?}");
    });
    join_all(tries).await;
}
