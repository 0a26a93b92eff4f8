//! Who waits for a full pool is served in the order in which it came.

use crate::{
    calls::{call, streaming},
    provided_by,
    stack::{Pool, pool},
};
use futures_util::future::BoxFuture;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::Spawn};
use tower::{ServiceExt, load_shed::error::Overloaded};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    balance::{Turn, Vacancy},
    error::find,
};

type Waiting = Spawn<BoxFuture<'static, Result<Reply, BoxError>>>;

/// A full pool of this many servers, and the two calls that run at each, in the order in which they are spread.
async fn full(servers: usize) -> (Pool, Vec<Reply>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let (pool, ..) = pool(servers, move |_, _| {
        let (open, reply) = streaming();
        events.lock().unwrap().push(open);
        Some(Ok(reply))
    })
    .await;
    let mut running = Vec::new();
    for _ in 0..2 * servers {
        running.push(pool.clone().oneshot(call()).await.unwrap());
    }
    (pool, running)
}

/// A call that need not wait, or not for long.
fn soon(pool: &Pool) -> Waiting {
    tokio_test::task::spawn(Box::pin(pool.clone().oneshot(call())))
}

fn begin(pool: &Pool, call: Call) -> Waiting {
    let mut waiting: Waiting = tokio_test::task::spawn(Box::pin(pool.clone().oneshot(call)));
    assert_pending!(waiting.poll());
    waiting
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_its_pool_full_goes_on_as_soon_as_another_has_ended() {
    let (pool, mut running) = full(2).await;
    let began = Instant::now();
    let mut waiting: Vec<_> = (0..3).map(|_| begin(&pool, call())).collect();
    for turn in 0..3 {
        drop(running.pop());
        assert!(waiting[turn].is_woken(), "in the order in which they came");
        running.push(assert_ready_ok!(waiting[turn].poll()));
        assert!(waiting[turn + 1..].iter().all(|later| !later.is_woken()), "one place, one call");
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "no clock was waited for");
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_stands_behind_those_that_wait_though_there_is_room() {
    let (pool, mut running) = full(1).await;
    let mut first = begin(&pool, call());
    drop(running.pop());
    // The place is free, and the first one told of it but not there yet.
    let mut second = begin(&pool, call());
    assert!(first.is_woken());
    running.push(assert_ready_ok!(first.poll()));
    assert!(!second.is_woken());
    running.clear();
    running.push(assert_ready_ok!(second.poll()));
    assert!(assert_ready!(soon(&pool).poll()).is_ok(), "nobody waits any more");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_becomes_free_while_one_is_on_the_way_to_another_is_for_who_comes_next() {
    let (pool, mut running) = full(1).await;
    let mut first = begin(&pool, call());
    running.clear();
    // Two places, one of them told to nobody.
    let mut second = soon(&pool);
    running.push(assert_ready_ok!(second.poll()));
    running.push(assert_ready_ok!(first.poll()));
}

#[tokio::test(start_paused = true)]
async fn what_one_is_told_who_leaves_is_told_to_the_next() {
    let (pool, mut running) = full(1).await;
    let (first, mut second) = (begin(&pool, call()), begin(&pool, call()));
    drop(running.pop());
    assert!(first.is_woken() && !second.is_woken());
    drop(first);
    assert!(second.is_woken());
    drop(assert_ready_ok!(second.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_needs_one_of_the_servers_holds_up_nobody() {
    let (pool, mut running) = full(2).await;
    let mut particular = begin(&pool, provided_by(["e-0"]));
    let mut any = begin(&pool, call());
    // The calls are spread in turn: this one ran at the other.
    drop(running.remove(1));
    assert!(any.is_woken());
    running.push(assert_ready_ok!(any.poll()));
    assert!(!particular.is_woken(), "it stands in no queue");
    drop(running.remove(0));
    tokio::time::advance(Duration::from_millis(16)).await;
    drop(assert_ready_ok!(particular.poll()));
}

#[tokio::test(start_paused = true)]
async fn a_call_looks_at_every_replica_before_it_waits() {
    let (pool, ..) = pool(4, |_, _| Some(Ok(streaming().1))).await;
    let mut running = Vec::new();
    for server in ["e-0", "e-1", "e-2"] {
        for _ in 0..2 {
            running.push(pool.clone().oneshot(provided_by([server])).await.unwrap());
        }
    }
    // Those that have a tool take turns, the first one first.
    let call = provided_by(["e-0", "e-1", "e-2", "e-3"]);
    let mut last: Waiting = tokio_test::task::spawn(Box::pin(pool.clone().oneshot(call)));
    running.push(assert_ready_ok!(last.poll()));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_more_than_about_a_second_and_who_gives_up_leaves_nothing_behind() {
    let (pool, mut running) = full(1).await;
    let began = Instant::now();
    let late = (0..20).map(|_| pool.clone().oneshot(call()));
    for refused in futures_util::future::join_all(late).await {
        assert!(find::<Overloaded>(&*refused.unwrap_err()).is_some());
    }
    let waited = began.elapsed();
    assert!((Duration::from_secs(1)..=Duration::from_millis(1100)).contains(&waited), "{waited:?}");
    running.clear();
    for _ in 0..2 {
        running.push(assert_ready_ok!(soon(&pool).poll()));
    }
}

#[tokio::test]
async fn what_nobody_can_use_is_heard_by_each_once() {
    let vacancy = Vacancy::default();
    let turns: Vec<Turn> = (0..3).map(|_| vacancy.queue()).collect();
    vacancy.tell();
    for turn in &turns {
        turn.comes().await;
        assert!(turn.again(), "it found no room, and what it was told goes to the next");
    }
    for turn in &turns {
        assert_pending!(tokio_test::task::spawn(turn.comes()).poll());
        assert!(!turn.again());
    }
    drop(turns);
    assert!(!vacancy.is_awaited());
}
