//! How long the gateway waits for a person: as long as that may take, and no longer.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    front::{Front, entry},
    matrix::caller::{Caller, Kind},
    support::{
        peer::Peer,
        servers::{Kind as Served, Running},
    },
};

const CLIENTS: [Kind; 3] = [Kind::Sse, Kind::Initialize("2025-11-25"), Kind::Modern];

#[tokio::test]
async fn a_question_that_nobody_answers_ends_its_call_when_the_time_for_that_is_over() {
    for kind in CLIENTS {
        let server = Running::start(Served::Legacy, Peer::asking("one")).await;
        let front = Front::with(vec![entry("one-1", "one", &server)], |config| {
            config.limits.ask_timeout = Duration::from_millis(300);
        })
        .await;
        let mut caller = Caller::open(kind, front.address()).await;
        let running = caller.begin("tools/call", json!({ "name": "ask" }));
        server.peer.ledger.until(|counts| counts.methods.contains_key("notifications/cancelled")).await;
        caller.cancel(running).await;
    }
}

#[tokio::test]
async fn no_clock_runs_while_a_person_thinks() {
    let timeout = Duration::from_millis(500);
    let pairs = CLIENTS.into_iter().flat_map(|kind| {
        [Served::Sse, Served::Legacy, Served::Modern, Served::Pipe].map(|served| async move {
            let server = Running::start(served, Peer::asking("one")).await;
            let front = Front::with(vec![entry("one-1", "one", &server)], |config| {
                (config.request_timeout, config.limits.max_total) = (timeout, timeout * 2);
            })
            .await;
            let mut caller = Caller::open(kind, front.address()).await;
            caller.thinks = timeout * 3;
            let said = caller.request("tools/call", json!({ "name": "ask" })).await;
            assert_eq!(said.questions.len(), 1, "{kind:?} × {served:?}: {said:?}");
            assert!(said.answer["result"]["content"].is_array(), "{kind:?} × {served:?}: {said:?}");
        })
    });
    join_all(pairs).await;
}
