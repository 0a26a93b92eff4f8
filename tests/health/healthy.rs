//! The four rules of health-filtered discovery.

use futures_util::{Stream, StreamExt, stream};
use std::{convert::Infallible, sync::Arc, task::Poll};
use tokio::sync::{mpsc, watch};
use tokio_test::{assert_pending, assert_ready, task};
use tower::discover::Change;
use tower_mcp_gateway::{
    EndpointId,
    health::{Board, Healthy, Verdict, Verdicts},
};

type Service = Arc<&'static str>;
type Found = Result<Change<EndpointId, Service>, Infallible>;

struct Bench<D> {
    found: Option<mpsc::UnboundedSender<Found>>,
    verdicts: Option<watch::Sender<Verdicts>>,
    healthy: task::Spawn<D>,
}

fn bench() -> Bench<impl Stream<Item = Found>> {
    let (found, mut receiver) = mpsc::unbounded_channel();
    let (verdicts, watched) = watch::channel(Verdicts::default());
    let inner = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    Bench { found: Some(found), verdicts: Some(verdicts), healthy: task::spawn(Healthy::new(inner, watched)) }
}

impl<D: Stream<Item = Found>> Bench<D> {
    fn insert(&self, id: &str, service: &'static str) -> Service {
        let service = Arc::new(service);
        self.found.as_ref().unwrap().send(Ok(Change::Insert(id.into(), service.clone()))).unwrap();
        service
    }

    fn remove(&self, id: &str) {
        self.found.as_ref().unwrap().send(Ok(Change::Remove(id.into()))).unwrap();
    }

    fn well<const N: usize>(&self, ids: [&str; N]) {
        let verdicts = ids.map(|id| (EndpointId::from(id), Verdict::Well));
        self.verdicts.as_ref().unwrap().send_replace(verdicts.into_iter().collect());
    }

    fn quiet(&mut self) {
        assert_pending!(self.healthy.poll_next());
    }

    fn inserted(&mut self, id: &str, service: &str) {
        match assert_ready!(self.healthy.poll_next()) {
            Some(Ok(Change::Insert(key, found))) => assert_eq!((key.as_str(), *found), (id, service)),
            _ => panic!("no insertion of {id}"),
        }
    }

    fn removed(&mut self, id: &str) {
        match assert_ready!(self.healthy.poll_next()) {
            Some(Ok(Change::Remove(key))) => assert_eq!(key.as_str(), id),
            _ => panic!("no removal of {id}"),
        }
    }
}

#[test]
fn rule_1_an_insertion_is_held_until_a_healthy_verdict() {
    let mut bench = bench();
    bench.insert("a", "first");
    bench.quiet();
    bench.verdicts.as_ref().unwrap().send_replace([("a".into(), Verdict::Ill("no".into()))].into_iter().collect());
    bench.quiet();
    bench.well(["a"]);
    assert!(bench.healthy.is_woken());
    bench.inserted("a", "first");
    bench.insert("b", "known to be well");
    bench.well(["a", "b"]);
    bench.inserted("b", "known to be well");
    bench.quiet();
}

#[test]
fn rule_2_ill_removes_and_keeps_well_inserts_a_clone() {
    let mut bench = bench();
    let service = bench.insert("a", "first");
    bench.well(["a"]);
    bench.inserted("a", "first");
    bench.well([]);
    bench.removed("a");
    bench.quiet();
    assert_eq!(Arc::strong_count(&service), 2, "kept");
    bench.well(["a"]);
    bench.inserted("a", "first");
    bench.quiet();
    bench.well([]);
    bench.well(["a"]);
    bench.quiet();
}

#[test]
fn rule_3_a_removal_forgets_and_is_told_only_of_what_was_shown() {
    let mut bench = bench();
    let hidden = bench.insert("hidden", "first");
    bench.quiet();
    bench.remove("hidden");
    bench.remove("never there");
    bench.quiet();
    assert_eq!(Arc::strong_count(&hidden), 1);
    bench.well(["hidden", "shown"]);
    bench.quiet();

    let shown = bench.insert("shown", "first");
    bench.inserted("shown", "first");
    bench.remove("shown");
    bench.removed("shown");
    bench.quiet();
    assert_eq!(Arc::strong_count(&shown), 1);
}

#[test]
fn rule_3_a_second_insertion_replaces() {
    let mut bench = bench();
    bench.well(["a"]);
    let first = bench.insert("a", "first");
    bench.inserted("a", "first");
    bench.insert("a", "second");
    bench.inserted("a", "second");
    assert_eq!(Arc::strong_count(&first), 1);
    bench.well([]);
    bench.insert("a", "third");
    bench.removed("a");
    bench.insert("a", "fourth");
    bench.quiet();
    bench.well(["a"]);
    bench.inserted("a", "fourth");
}

#[test]
fn rule_4_the_last_verdicts_stand_when_nobody_writes_any() {
    let mut bench = bench();
    bench.well(["a", "b"]);
    bench.verdicts = None;
    bench.insert("a", "first");
    bench.inserted("a", "first");
    bench.insert("c", "never asked");
    bench.insert("b", "second");
    bench.inserted("b", "second");
    bench.remove("a");
    bench.removed("a");
    bench.quiet();
    bench.found = None;
    assert!(assert_ready!(bench.healthy.poll_next()).is_none(), "nothing can change any more");
}

#[test]
fn rule_4_verdicts_are_followed_after_the_inner_discover_ended() {
    let mut bench = bench();
    bench.insert("a", "first");
    bench.found = None;
    bench.quiet();
    bench.well(["a"]);
    assert!(bench.healthy.is_woken());
    bench.inserted("a", "first");
    bench.well([]);
    bench.removed("a");
    bench.quiet();
    bench.verdicts = None;
    assert!(bench.healthy.is_woken());
    assert!(assert_ready!(bench.healthy.poll_next()).is_none());
}

#[test]
fn a_forgotten_endpoint_is_not_well() {
    let board = Board::default();
    let vital = board.endpoint(&"a".into());
    board.forget(&"a".into());
    assert_eq!((vital.is_well(), board.verdict("a")), (false, Verdict::Unknown));
    assert_eq!(board.subscribe().borrow().iter().count(), 0);
}

#[test]
fn rule_3_a_replacement_that_falls_ill_on_the_way_takes_the_old_one_away() {
    let (verdicts, watched) = watch::channel(Verdicts::default());
    let well = move |well: bool| verdicts.send_replace(well.then(|| ("a".into(), Verdict::Well)).into_iter().collect());
    well(true);
    let mut polls = 0;
    let inner = stream::poll_fn(move |_| {
        polls += 1;
        // The verdict changes after `Healthy` has looked for changes and before it sees the second service.
        well(polls == 1);
        Poll::Ready(Some(Found::Ok(Change::Insert("a".into(), Arc::new("service")))))
    });
    let mut healthy = task::spawn(Healthy::new(inner.take(2), watched));
    assert!(matches!(assert_ready!(healthy.poll_next()), Some(Ok(Change::Insert(..)))));
    assert!(matches!(assert_ready!(healthy.poll_next()), Some(Ok(Change::Remove(_)))));
    assert_pending!(healthy.poll_next());
}
