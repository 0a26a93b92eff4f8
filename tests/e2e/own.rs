//! Servers on one channel that do not say whose question they ask: for all clients together, and for each one alone.

use serde_json::{Value, json};
use tower_mcp_gateway::registry::{Server, Sessions};

use crate::{
    front::{Front, child, entry},
    matrix::caller::{Caller, Kind},
    support::{
        peer::Peer,
        servers::{Kind as Served, Running},
    },
};

const CLIENTS: [Kind; 3] = [Kind::Sse, Kind::Initialize("2025-11-25"), Kind::Modern];

/// What a client is told that calls a tool which asks, while a call of another client hangs there.
async fn asked(front: &Front, one: Kind, other: Kind, server: Option<&Running>) -> Value {
    let mut one = Caller::open(one, front.address()).await;
    let mut other = Caller::open(other, front.address()).await;
    let hanging = one.begin("tools/call", json!({ "name": "hang" }));
    match server {
        Some(server) => server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await,
        None => drop(one.request("tools/call", json!({ "name": "who" })).await),
    }
    let said = other.request("tools/call", json!({ "name": "ask" })).await;
    one.cancel(hanging).await;
    json!([said.questions.len(), said.answer["result"]["isError"] == true])
}

async fn pairs(server: impl Fn() -> Server, wanted: Value) {
    for one in CLIENTS {
        for other in CLIENTS {
            let front = Front::of(vec![server()]).await;
            assert_eq!(asked(&front, one, other, None).await, wanted, "{one:?} hangs, {other:?} asks");
        }
    }
}

#[tokio::test]
async fn with_a_child_for_each_every_question_reaches_whose_call_it_is() {
    pairs(|| child("one-1", "one", "asking").sessions(Sessions::PerClient), json!([1, false])).await;
}

#[tokio::test]
async fn on_one_channel_for_all_a_question_that_may_be_anothers_is_refused() {
    for other in CLIENTS {
        let server = Running::start(Served::Sse, Peer::asking("one")).await;
        let front = Front::of_one(&server).await;
        let said = asked(&front, Kind::Initialize("2025-11-25"), other, Some(&server)).await;
        assert_eq!(said, json!([0, true]), "{other:?}");
    }
}

#[tokio::test]
async fn with_an_event_stream_for_each_it_is_as_with_children() {
    let server = Running::start(Served::Sse, Peer::asking("one")).await;
    pairs(|| entry("one-1", "one", &server).sessions(Sessions::PerClient), json!([1, false])).await;
}
