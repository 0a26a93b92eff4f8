//! A random walk of memberships and verdicts against an oracle.

use crate::{calls::call, discovered};
use futures_util::{FutureExt, StreamExt};
use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::sync::{mpsc, watch};
use tokio_test::task;
use tower::{Service, ServiceExt, discover::Change};
use tower_mcp_gateway::{
    Call, EndpointId, Reply,
    balance::{Patience, balance, policy::RoundRobin},
    health::{Healthy, Verdict, Verdicts},
    json::Json,
    load::{Meter, Metered},
    reply::Outcome,
};

const STEPS: usize = 100_000;
const ENDPOINTS: usize = 8;

/// A server that says which one it is.
#[derive(Clone, Copy)]
struct Numbered(usize);

impl Service<Call> for Numbered {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        ready(Ok(Outcome::Result(Json::from_value(&self.0).unwrap()).into()))
    }
}

/// What a balancer has been told: endpoint → number of its server.
type Shown = Arc<Mutex<BTreeMap<EndpointId, usize>>>;

fn follow(shown: &Shown, change: &Change<EndpointId, Metered<Numbered>>) {
    let mut shown = shown.lock().unwrap();
    match change {
        Change::Insert(id, service) => drop(shown.insert(id.clone(), service.get_ref().0)),
        Change::Remove(id) => assert!(shown.remove(id).is_some(), "{id} was not shown"),
    }
}

fn answer(pool: &(impl Service<Call, Response = Reply, Error = tower::BoxError> + Clone), call: Call) -> Option<usize> {
    let reply = pool.clone().oneshot(call).now_or_never().expect("no call waits here");
    let outcome = reply.ok()?.into_single().unwrap();
    Some(outcome.result().unwrap().read().unwrap())
}

#[test]
fn members_and_verdicts_at_random_always_settle_to_what_is_well() {
    let mut rng = fastrand::Rng::with_seed(0x70_77_65_72);
    let ids: Vec<EndpointId> = (0..ENDPOINTS).map(|n| format!("e-{n}").into()).collect();
    let (changes, receiver) = mpsc::unbounded_channel();
    let (verdicts, watched) = watch::channel(Verdicts::default());
    let shown = Shown::default();
    let following = shown.clone();
    let healthy = Healthy::new(discovered(receiver), watched).inspect(move |change| {
        follow(&following, change.as_ref().unwrap_or_else(|never: &Infallible| match *never {}))
    });
    let patience = Patience { start: std::time::Duration::ZERO, ..Patience::default() };
    let (pool, driver) = balance("search".into(), healthy, RoundRobin::default(), patience);
    let mut driver = task::spawn(driver);

    let mut members: BTreeMap<EndpointId, usize> = BTreeMap::new();
    let mut well: BTreeMap<EndpointId, Verdict> = BTreeMap::new();
    let (mut settled, mut seen_empty, mut seen_many) = (0, 0, 0);
    for step in 0..STEPS {
        let id = rng.choice(&ids).unwrap().clone();
        match rng.u8(..6) {
            0 => {
                members.insert(id.clone(), step);
                let service = Metered::new(Numbered(step), Meter::new(1));
                changes.send(Ok(Change::Insert(id, service))).unwrap();
            }
            1 => {
                members.remove(&id);
                changes.send(Ok(Change::Remove(id))).unwrap();
            }
            2 | 3 => {
                let verdict = [Verdict::Well, Verdict::Well, Verdict::Unknown, Verdict::Ill("down".into())];
                well.insert(id, rng.choice(verdict).unwrap());
                verdicts.send_replace(well.clone().into_iter().collect());
            }
            _ => {
                assert!(driver.poll().is_pending());
                let expected: BTreeMap<_, _> =
                    members.clone().into_iter().filter(|(id, _)| well.get(id).is_some_and(Verdict::is_well)).collect();
                assert_eq!(*shown.lock().unwrap(), expected, "step {step}");
                let mut pinned = call();
                pinned.pin = Some(id.clone());
                assert_eq!(answer(&pool, pinned), expected.get(&id).copied(), "step {step}");
                let anyone = answer(&pool, call());
                assert_eq!(anyone.is_some(), !expected.is_empty());
                assert!(anyone.is_none_or(|number| expected.values().any(|&known| known == number)));
                settled += 1;
                seen_empty += usize::from(expected.is_empty());
                seen_many += usize::from(expected.len() > 2);
            }
        }
    }
    assert!(settled > STEPS / 4 && seen_empty > 100 && seen_many > 100, "{settled} {seen_empty} {seen_many}");
}
