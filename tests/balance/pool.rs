use crate::{
    calls::{call, single},
    discovered, discovery, endpoint,
    patient::patient,
    provided_by,
};
use std::time::Duration;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, ServiceExt, discover::Change};
use tower_mcp_gateway::{
    BoxError, Call, EndpointId, Reply,
    balance::{
        Balance, Patience, Tried, balance,
        error::{Failed, NoEndpoint},
        policy::RoundRobin,
    },
    error::find,
    health::{Board, observe::ObserveLayer},
    load::{Meter, Metered},
    upstream::error::Closed,
};
use tower_test::mock::{self, Mock};

type Pool = Balance<Mock<Call, Reply>, RoundRobin>;

const NONE: Patience = Patience { start: Duration::ZERO, later: Duration::ZERO };

fn no_endpoint(error: &BoxError) -> bool {
    find::<NoEndpoint>(&**error).is_some()
}

#[tokio::test]
async fn several_changes_are_one_snapshot_and_the_driver_ends_with_the_discovery() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let mut servers: Vec<_> = ["a", "b", "c"]
        .map(|id| {
            let (service, handle) = endpoint(Meter::new(1));
            found.send(Ok(Change::Insert(id.into(), service))).unwrap();
            handle
        })
        .into();
    found.send(Ok(Change::Remove("b".into()))).unwrap();
    assert!(no_endpoint(&pool.clone().oneshot(call()).await.unwrap_err()), "nothing is known before the driver runs");
    assert_pending!(driver.poll());

    let mut calls: Vec<_> = (0..4).map(|_| task::spawn(pool.clone().oneshot(call()))).collect();
    calls.iter_mut().for_each(|call| drop(call.poll()));
    for server in [0, 2, 0, 2] {
        servers[server].next_request().await.unwrap().1.send_response(single());
    }
    calls.iter_mut().for_each(|call| drop(assert_ready_ok!(call.poll())));

    drop(found);
    assert!(driver.is_woken());
    assert_ready!(driver.poll());
    let mut last = task::spawn(pool.oneshot(call()));
    assert_pending!(last.poll(), "the last snapshot stands");
    assert!(servers[0].next_request().await.is_some());
}

#[tokio::test]
async fn the_driver_ends_when_the_last_balance_is_gone_even_one_in_a_call() {
    let (_found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), Patience::default());
    let pool: Pool = pool;
    let mut driver = task::spawn(driver);
    let mut waiting = task::spawn(pool.clone().oneshot(call()));
    assert_pending!(waiting.poll());
    drop(pool);
    assert_pending!(driver.poll());
    drop(waiting);
    assert!(driver.is_woken());
    assert_ready!(driver.poll());
}

#[tokio::test]
async fn it_is_always_ready_and_never_calls_what_is_not() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let (service, mut handle) = endpoint(Meter::new(1));
    handle.allow(0);
    found.send(Ok(Change::Insert("a".into(), service))).unwrap();
    assert_pending!(driver.poll());

    let mut pool = mock::Spawn::new(pool);
    assert_ready_ok!(pool.poll_ready());
    let mut reply = task::spawn(pool.call(call()));
    assert_pending!(reply.poll());
    assert_ready_ok!(pool.poll_ready());
    assert_pending!(handle.poll_request());
    handle.allow(1);
    assert!(reply.is_woken());
    assert_pending!(reply.poll());
    handle.next_request().await.unwrap().1.send_response(single());
    let _ = assert_ready_ok!(reply.poll());
}

#[tokio::test(start_paused = true)]
async fn an_empty_pool_is_waited_for_at_the_start_and_never_later() {
    let (found, discover) = discovery();
    let patience = Patience::default();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), patience);
    let mut driver = task::spawn(driver);
    let mut early = task::spawn(pool.clone().oneshot(call()));
    assert_pending!(early.poll());
    advance(patience.start - Duration::from_millis(500)).await;
    assert_pending!(early.poll());

    let (service, mut handle) = endpoint(Meter::new(1));
    found.send(Ok(Change::Insert("a".into(), service))).unwrap();
    assert_pending!(driver.poll());
    assert!(early.is_woken());
    assert_pending!(early.poll());
    handle.next_request().await.unwrap().1.send_response(single());
    let _ = assert_ready_ok!(early.poll());

    found.send(Ok(Change::Remove("a".into()))).unwrap();
    assert_pending!(driver.poll());
    let mut late = task::spawn(pool.clone().oneshot(call()));
    assert!(no_endpoint(&assert_ready_err!(late.poll())), "it once had a member: no waiting");
}

#[tokio::test(start_paused = true)]
async fn each_call_waits_as_long_for_the_first_member_however_old_the_pool_is() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), Duration::from_secs(2));
    let _driver = tokio::spawn(driver);
    for _ in 0..2 {
        let started = Instant::now();
        assert!(no_endpoint(&pool.clone().oneshot(call()).await.unwrap_err()));
        assert!((1990..2010).contains(&started.elapsed().as_millis()));
    }
    let late = tokio::spawn(pool.oneshot(call()));
    let (service, mut handle) = endpoint(Meter::new(1));
    found.send(Ok(Change::Insert("a".into(), service))).unwrap();
    handle.next_request().await.unwrap().1.send_response(single());
    assert!(late.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_pin_is_that_member_or_none() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let ((a, mut on_a), (b, mut on_b)) = (endpoint(Meter::new(1)), endpoint(Meter::new(1)));
    found.send(Ok(Change::Insert("a".into(), a))).unwrap();
    found.send(Ok(Change::Insert("b".into(), b))).unwrap();
    assert_pending!(driver.poll());
    let pinned = |id: &str| {
        let mut call = call();
        call.pin = Some(id.into());
        task::spawn(pool.clone().oneshot(call))
    };
    for _ in 0..3 {
        let mut reply = pinned("b");
        assert_pending!(reply.poll());
        on_b.next_request().await.unwrap().1.send_response(single());
        let _ = assert_ready_ok!(reply.poll());
    }
    assert_pending!(on_a.poll_request());
    assert!(no_endpoint(&assert_ready_err!(pinned("c").poll())));
}

#[tokio::test]
async fn only_providers_get_calls_and_those_tried_only_if_none_else_is_left() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let mut servers = ["a", "b", "c"].map(|id| {
        let (service, handle) = endpoint(Meter::new(1));
        found.send(Ok(Change::Insert(id.into(), service))).unwrap();
        handle
    });
    assert_pending!(driver.poll());
    let mut tool = provided_by(["c", "gone", "a"]);
    for (tried, expected) in [(None, vec![0, 2, 0, 2]), (Some("a"), vec![2, 2]), (Some("c"), vec![0, 2, 0, 2])] {
        if let Some(tried) = tried {
            Tried::remember(&mut tool, tried.into());
        }
        tool.providers = provided_by(["c", "gone", "a"]).providers;
        for server in expected {
            let mut reply = task::spawn(pool.clone().oneshot(tool.clone()));
            assert_pending!(reply.poll());
            servers[server].next_request().await.unwrap().1.send_response(single());
            let _ = assert_ready_ok!(reply.poll());
        }
    }
    assert!(no_endpoint(&pool.oneshot(provided_by(["gone"])).await.unwrap_err()));
}

#[tokio::test]
async fn an_endpoints_error_names_it() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let (service, mut handle) = endpoint(Meter::new(1));
    found.send(Ok(Change::Insert("a".into(), service))).unwrap();
    assert_pending!(driver.poll());
    let mut reply = task::spawn(pool.oneshot(call()));
    assert_pending!(reply.poll());
    handle.next_request().await.unwrap().1.send_error(Closed { sent: true });
    let error = assert_ready_err!(reply.poll());
    assert_eq!(find::<Failed>(&*error).unwrap().endpoint, EndpointId::from("a"));
    assert!(find::<Closed>(&*error).unwrap().sent);
}

#[tokio::test(start_paused = true)]
async fn once_a_failure_is_seen_no_call_picks_the_endpoint_though_the_snapshot_is_old() {
    let board = Board::default();
    let (found, receiver) = tokio::sync::mpsc::unbounded_channel();
    let (pool, driver) = balance("search".into(), discovered(receiver), RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let mut servers = Vec::new();
    for id in ["a", "b"] {
        let vital = patient(&board, id).await.vital;
        let (service, handle) = mock::pair::<Call, Reply>();
        let observed = ObserveLayer::new(vital.clone()).layer(service);
        let member = Metered::new(observed, Meter::with_vital(1, vital));
        found.send(Ok::<_, BoxError>(Change::Insert(id.into(), member))).unwrap();
        servers.push(handle);
    }
    assert_pending!(driver.poll());

    let mut cut = task::spawn(pool.clone().oneshot(call()));
    assert_pending!(cut.poll());
    servers[0].next_request().await.unwrap().1.send_error(Closed { sent: true });
    assert_ready_err!(cut.poll());
    for n in 0..10 {
        let call = if n % 2 == 0 { call() } else { provided_by(["a", "b"]) };
        let mut reply = task::spawn(pool.clone().oneshot(call));
        assert_pending!(reply.poll());
        servers[1].next_request().await.unwrap().1.send_response(single());
        let _ = assert_ready_ok!(reply.poll());
    }
    assert!(!driver.is_woken(), "the snapshot is the same all the time");
    let mut pinned = call();
    pinned.pin = Some("a".into());
    assert!(no_endpoint(&pool.oneshot(pinned).await.unwrap_err()));
}

#[tokio::test]
async fn a_discovery_that_fails_leaves_the_pool_as_it_is() {
    let (found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    let (service, mut handle) = endpoint(Meter::new(1));
    found.send(Ok(Change::Insert("a".into(), service))).unwrap();
    found.send(Err("no such name".into())).unwrap();
    assert_ready!(driver.poll());
    let mut reply = task::spawn(pool.oneshot(call()));
    assert_pending!(reply.poll());
    assert!(handle.next_request().await.is_some());
}

#[tokio::test]
async fn a_discovery_that_always_has_one_more_does_not_keep_the_thread() {
    let (service, mut handle) = endpoint(Meter::new(1));
    let endless =
        futures_util::stream::repeat_with(move || Ok::<_, BoxError>(Change::Insert("a".into(), service.clone())));
    let (pool, driver) = balance("search".into(), endless, RoundRobin::default(), NONE);
    let mut driver = task::spawn(driver);
    assert_pending!(driver.poll());
    assert!(driver.is_woken());
    let mut reply = task::spawn(pool.oneshot(call()));
    assert_pending!(reply.poll());
    assert!(handle.next_request().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_pool_whose_driver_is_dropped_is_told_so() {
    let (_found, discover) = discovery();
    let (pool, driver) = balance("search".into(), discover, RoundRobin::default(), Patience::default());
    let pool: Pool = pool;
    let mut waiting = task::spawn(pool.oneshot(call()));
    assert_pending!(waiting.poll());
    drop(driver);
    assert!(waiting.is_woken());
    assert!(no_endpoint(&assert_ready_err!(waiting.poll())));
}
