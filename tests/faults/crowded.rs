//! Many calls to a server that is slow: they fill what is theirs and nothing else.

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
use tokio::time::sleep;

#[tokio::test]
async fn a_hundred_and_fifty_calls_to_a_slow_server_are_answered_or_shed_and_others_do_not_wait() {
    for wire in Wire::ALL {
        let (slow, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("slow-1", "slow", &slow), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        let before = slow.ledger().methods("tools/call");
        let crowd = join_all((0..150).map(|n| {
            let session = &session;
            async move {
                // The listener of a test queues 128 connections that nobody has accepted yet. The next one's first packet
                // is dropped, and its sender waits for a second.
                sleep(Duration::from_millis(2 * n)).await;
                session.act("act", Fault::Hang).await
            }
        }));
        let others = async {
            // The server has its share, and the rest waits for a place or has been refused.
            slow.ledger().until(|counts| counts.methods["tools/call"] >= before + 100).await;
            for _ in 0..50 {
                session.untouched("echo").await;
            }
        };
        let (crowd, ()) = tokio::join!(crowd, others);
        let mut shed = 0;
        for ended in &crowd {
            assert!(ended.is_error(), "{wire:?} {ended:?}");
            assert!(ended.took < SILENCE + Duration::from_secs(1), "{wire:?} {ended:?}");
            assert!(slow.ledger().calls(&ended.key) <= 1, "{wire:?} {ended:?}");
            shed += usize::from(ended.reason() != "timeout");
        }
        assert!(shed >= 50, "{wire:?}: a hundred at once are the server's share, and {shed} were shed");
        session.untouched("echo").await;
        session.recovered("act").await;
    }
}
