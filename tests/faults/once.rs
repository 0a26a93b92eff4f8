//! What was sent is not sent again, unless tool and operator both say that it may be.

use crate::{
    client::Session,
    entry, gateway,
    support::faults::{Fault, Faulty, Wire},
};
use futures_util::future::join_all;
use tower_mcp_gateway::registry::Resend;

/// Two replicas, and a client of both.
struct Pair {
    servers: [Faulty; 2],
    _front: crate::front::Front,
    session: Session,
}

impl Pair {
    async fn new(wire: Wire, resend: Resend) -> Self {
        let servers = [Faulty::start(wire).await, Faulty::start(wire).await];
        let [first, second] = &servers;
        let entries = vec![entry("one-1", "one", first).resend(resend), entry("one-2", "one", second).resend(resend)];
        let front = gateway(entries).await;
        let session = Session::open(&front).await;
        session.recovered("act").await;
        Self { servers, _front: front, session }
    }

    /// Makes a call and says how often it arrived.
    async fn arrivals(&self, tool: &str, fault: Fault) -> usize {
        self.session.recovered(tool).await;
        let ended = self.session.act(tool, fault).await;
        assert!(ended.is_error(), "{tool} {fault:?} {ended:?}");
        self.servers.iter().map(|server| server.ledger().calls(&ended.key)).sum()
    }
}

#[tokio::test]
async fn nothing_that_was_sent_is_repeated_unless_the_operator_says_so() {
    for wire in [Wire::Modern, Wire::Legacy] {
        let pair = Pair::new(wire, Resend::Never).await;
        for fault in [Fault::Reset, Fault::Close, Fault::Cut, Fault::Status503, Fault::CutEvent] {
            for tool in ["act", "read", "again"] {
                assert_eq!(pair.arrivals(tool, fault).await, 1, "{wire:?} {tool} {fault:?}");
            }
        }
    }
    let pair = Pair::new(Wire::Sse, Resend::Never).await;
    for tool in ["act", "read", "again"] {
        assert_eq!(pair.arrivals(tool, Fault::Cut).await, 1, "{tool}");
    }
}

#[tokio::test]
async fn a_tool_that_may_run_twice_is_repeated_once_where_the_operator_says_so() {
    for wire in [Wire::Modern, Wire::Legacy] {
        let pair = Pair::new(wire, Resend::Idempotent).await;
        for tool in ["read", "again"] {
            assert_eq!(pair.arrivals(tool, Fault::Reset).await, 2, "{wire:?} {tool}");
            assert_eq!(pair.arrivals(tool, Fault::CutEvent).await, 1, "{wire:?} {tool}: an event was seen");
        }
        assert_eq!(pair.arrivals("act", Fault::Reset).await, 1, "{wire:?}: it is not marked");
        assert_eq!(pair.arrivals("read", Fault::Garbage).await, 1, "{wire:?}: it was answered, if badly");
    }
}

#[tokio::test]
async fn both_replicas_must_be_trusted() {
    let servers = [Faulty::start(Wire::Modern).await, Faulty::start(Wire::Modern).await];
    let trusted = entry("one-1", "one", &servers[0]).resend(Resend::Idempotent);
    let front = gateway(vec![trusted, entry("one-2", "one", &servers[1])]).await;
    let session = Session::open(&front).await;
    session.recovered("read").await;
    let ended = session.act("read", Fault::Reset).await;
    assert_eq!(servers.iter().map(|server| server.ledger().calls(&ended.key)).sum::<usize>(), 1, "{ended:?}");
}

#[tokio::test]
async fn repeats_are_a_tenth_of_the_calls_and_a_small_reserve() {
    let pair = Pair::new(Wire::Modern, Resend::Idempotent).await;
    let mut calls = 0;
    let mut arrived = Vec::new();
    for _ in 0..10 {
        let ended = join_all((0..20).map(|_| pair.session.act("read", Fault::Status503))).await;
        calls += ended.len();
        arrived.extend(
            ended
                .iter()
                .map(|ended| pair.servers.iter().map(|server| server.ledger().calls(&ended.key)).sum::<usize>()),
        );
        pair.session.recovered("read").await;
    }
    assert!(arrived.iter().all(|&times| times <= 2), "two attempts at most: {arrived:?}");
    let repeats = arrived.iter().filter(|&&times| times == 2).count();
    // The reserve is one each second over the ten of the window; calls that recovered count for the share as well.
    assert!((1..=calls / 10 + 10 + 20).contains(&repeats), "{repeats} of {calls}");
}
