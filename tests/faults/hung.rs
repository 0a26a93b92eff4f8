//! Servers that take a call and then say nothing, or nothing that counts.

use crate::{
    SILENCE,
    client::Session,
    entry, front, gateway,
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
    },
};
use futures_util::future::join_all;
use std::time::Duration;

/// The longest that a silent server may keep a client waiting.
const WITHIN: Duration = SILENCE.saturating_add(Duration::from_secs(1));

/// Each fault before a gateway of its own, all at once: most of the time is waiting.
async fn each_times_out(wire: Wire, faults: &[Fault]) {
    let tries = faults.iter().map(|&fault| async move {
        let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        let ended = session.fails(&bad, fault, WITHIN).await;
        assert_eq!(ended.reason(), "timeout", "{wire:?} {fault:?}: {ended:?}");
        assert!(ended.took >= SILENCE, "{wire:?} {fault:?}: {ended:?}");
        let told = async {
            // Over HTTP the end of the response says it; on a shared stream a notification does.
            bad.ledger()
                .until(|counts| counts.abandoned > 0 || counts.methods.contains_key("notifications/cancelled"))
                .await;
        };
        let told = tokio::time::timeout(Duration::from_secs(1), told).await;
        assert!(told.is_ok(), "{wire:?} {fault:?}: the server was not told");
        session.recovered("act").await;
    });
    join_all(tries).await;
}

#[tokio::test]
async fn silence_ends_a_call_and_comments_and_single_bytes_are_silence_over_http() {
    use Fault::{Comments, Drip, Hang, StallBody, StallEvent, StallHead};
    for wire in [Wire::Modern, Wire::Legacy] {
        each_times_out(wire, &[Hang, StallHead, StallBody, StallEvent, Comments, Drip]).await;
    }
}

#[tokio::test]
async fn silence_ends_a_call_and_comments_and_single_bytes_are_silence_over_sse() {
    each_times_out(Wire::Sse, &[Fault::Hang, Fault::Comments, Fault::Drip, Fault::StallEvent]).await;
}

#[tokio::test]
async fn progress_keeps_a_call_alive() {
    let tries = Wire::ALL.map(|wire| async move {
        let bad = Faulty::start(wire).await;
        let front = gateway(vec![entry("bad-1", "bad", &bad)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        let ended = session.act("act", Fault::Lively).await;
        assert_eq!(ended.text(), Some(ended.key.as_str()), "{wire:?} {ended:?}");
        assert!(ended.took > SILENCE, "{wire:?} {ended:?}");
    });
    join_all(tries).await;
}

#[tokio::test]
async fn progress_keeps_no_call_alive_for_ever() {
    let total = Duration::from_secs(4);
    let tries = Wire::ALL.map(|wire| async move {
        let bad = Faulty::start(wire).await;
        let front = front::Front::with(vec![entry("bad-1", "bad", &bad)], |config| {
            crate::bounds(config);
            config.limits.max_total = total;
        })
        .await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        let ended = session.act("act", Fault::Progress).await;
        assert_eq!(ended.reason(), "timeout", "{wire:?} {ended:?}");
        assert!((total..total + Duration::from_secs(1)).contains(&ended.took), "{wire:?} {ended:?}");
    });
    join_all(tries).await;
}
