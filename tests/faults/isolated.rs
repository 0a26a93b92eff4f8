//! What one server does to the others: nothing.

use crate::{
    client::Session,
    entry, front, gateway,
    support::{
        faults::{Fault, Faulty, Wire},
        servers::{Kind, Running},
    },
};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Times of one kind of request before either gateway.
#[derive(Default)]
struct Times([Vec<Duration>; 2]);

impl Times {
    fn p99(mut self) -> [Duration; 2] {
        self.0.each_mut().map(|times| {
            times.sort_unstable();
            times[times.len() * 99 / 100]
        })
    }
}

/// Takes turns between a gateway whose servers are all well and one with a sick server more, so that whatever else the
/// machine does meets both alike.
async fn compare(sick: Vec<tower_mcp_gateway::registry::Server>) {
    let good = Running::named(Kind::Modern, "good").await;
    let well = || front::entry("good-1", "good", &good);
    let mut all = vec![well()];
    all.extend(sick);
    let fronts = [gateway(vec![well()]).await, gateway(all).await];
    // Until every server has answered or failed once, lists and calls of unknown names wait.
    for front in &fronts {
        Session::open(front).await.untouched("echo").await;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let apart = round(&fronts).await;
        if apart.iter().all(|apart| *apart < APART) {
            return;
        }
        rounds.push(apart);
    }
    panic!("p99 of initialize, tools/list and tools/call beside a sick server, beyond that alone: {rounds:?}");
}

/// The most that the slowest hundredth may be slower beside a sick server.
const APART: Duration = Duration::from_millis(5);
/// Rounds of which one must show it: what the sick server costs it costs in each, the noise of the machine seldom in all.
const ROUNDS: usize = 4;

/// How much slower the slowest hundredth of each kind of request is at the second gateway.
async fn round(fronts: &[front::Front; 2]) -> [Duration; 3] {
    let [mut opening, mut listing, mut calling] = [Times::default(), Times::default(), Times::default()];
    for _ in 0..200 {
        for (at, front) in fronts.iter().enumerate() {
            let begun = Instant::now();
            let session = Session::open(front).await;
            opening.0[at].push(begun.elapsed());
            let (list, took) = session.request("tools/list", json!({})).await;
            assert!(list.to_string().contains("\"echo\""), "{list}");
            listing.0[at].push(took);
            let called = session.tool("echo", json!({ "text": "well" })).await;
            assert_eq!(called.text(), Some("well"), "{called:?}");
            calling.0[at].push(called.took);
        }
    }
    [("initialize", opening), ("tools/list", listing), ("tools/call", calling)].map(|(what, times)| {
        let [healthy, beside] = times.p99();
        println!("{what}: p99 {healthy:?} alone, {beside:?} beside a sick server");
        beside.saturating_sub(healthy)
    })
}

#[tokio::test]
async fn a_dead_server_is_felt_by_nobody_else() {
    let dead = [Faulty::down_at_first(Wire::Modern), Faulty::down_at_first(Wire::Sse)];
    compare(vec![entry("dead-1", "dead", &dead[0]), entry("dead-2", "gone", &dead[1])]).await;
}

#[tokio::test]
async fn a_hung_server_is_felt_by_nobody_else() {
    let hung = [Faulty::start(Wire::Modern).await, Faulty::start(Wire::Legacy).await, Faulty::start(Wire::Sse).await];
    hung.iter().for_each(|hung| hung.deaf(true));
    compare(vec![
        entry("hung-1", "hung", &hung[0]),
        entry("hung-2", "mute", &hung[1]),
        entry("hung-3", "deaf", &hung[2]),
    ])
    .await;
}

#[tokio::test]
async fn a_server_that_flaps_changes_no_list_and_is_felt_by_nobody_else() {
    let tries = Wire::ALL.map(|wire| async move {
        let (bad, good) = (Faulty::start(wire).await, Running::named(Kind::Modern, "good").await);
        let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        let (list, _) = session.request("tools/list", json!({})).await;
        for _ in 0..8 {
            bad.down().await;
            for up in [false, true] {
                if up {
                    bad.up();
                }
                let ended = session.act("act", Fault::None).await;
                assert!(ended.took < Duration::from_secs(1), "{wire:?} {ended:?}");
                assert!(bad.ledger().calls(&ended.key) <= 1, "{wire:?} {ended:?}");
                let (now, _) = session.request("tools/list", json!({})).await;
                assert_eq!(now["result"]["tools"], list["result"]["tools"], "{wire:?}");
                session.untouched("echo").await;
                sleep(Duration::from_millis(150)).await;
            }
        }
        session.recovered("act").await;
    });
    join_all(tries).await;
}

#[tokio::test]
async fn a_server_that_hangs_later_keeps_its_list_and_is_felt_by_nobody_else() {
    let (bad, good) = (Faulty::start(Wire::Legacy).await, Running::named(Kind::Modern, "good").await);
    let front = gateway(vec![entry("bad-1", "bad", &bad), front::entry("good-1", "good", &good)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    bad.deaf(true);
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let (list, took) = session.request("tools/list", json!({})).await;
        assert!(list.to_string().contains("\"act\""), "{list}");
        assert!(took < Duration::from_millis(500), "{took:?}");
        session.untouched("echo").await;
    }
    bad.deaf(false);
    session.recovered("act").await;
}
