//! A pool as the registry builds it: retry over balance over endpoints that observe, shed and limit.

use crate::{
    calls::{call, single, streaming},
    discovered,
    patient::patient,
};
use futures_util::{StreamExt, future::join_all};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};
use tower::{
    Layer, ServiceBuilder, ServiceExt,
    discover::Change,
    load_shed::{LoadShedLayer, error::Overloaded},
    service_fn,
    util::BoxCloneSyncService,
};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    balance::{Patience, balance, policy::Strategy},
    error::find,
    health::{Board, Healthy, observe::ObserveLayer},
    limit::LimitLayer,
    load::{Meter, Metered},
    reply::Outcome,
    retry,
    timeout::{TimeoutLayer, error::Elapsed},
    upstream::error::{Closed, Connect},
};

pub(crate) type Pool = BoxCloneSyncService<Call, Reply, BoxError>;

/// A pool of servers that answer with `answer(server, how many calls it had before)`, two calls each at a time.
pub(crate) async fn pool<F>(servers: usize, answer: F) -> (Pool, Vec<Meter>, Board)
where
    F: Fn(usize, usize) -> Option<Result<Reply, BoxError>> + Clone + Send + Sync + 'static,
{
    let board = Board::default();
    let (found, receiver) = mpsc::unbounded_channel::<Result<_, BoxError>>();
    let mut meters = Vec::new();
    for server in 0..servers {
        let id = format!("e-{server}");
        let vital = patient(&board, &id).await.vital;
        let (answer, calls) = (answer.clone(), Arc::new(AtomicUsize::new(0)));
        let transport = service_fn(move |_: Call| {
            let answer = answer(server, calls.fetch_add(1, Ordering::SeqCst));
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        });
        let stack = ServiceBuilder::new()
            .layer(ObserveLayer::new(vital.clone()))
            .layer(LoadShedLayer::new())
            .layer(LimitLayer::new(2))
            .service(transport);
        let meter = Meter::with_vital(1, vital);
        found.send(Ok(Change::Insert(id.as_str().into(), Metered::new(stack, meter.clone())))).unwrap();
        meters.push(meter);
    }
    let healthy = Healthy::new(discovered(receiver), board.subscribe());
    let (pool, driver) = balance("search".into(), healthy, Strategy::RoundRobin, Patience::default());
    tokio::spawn(async move {
        let _membership = found;
        driver.await;
    });
    (BoxCloneSyncService::new(retry::layer().layer(pool)), meters, board)
}

#[tokio::test(start_paused = true)]
async fn a_dead_replica_costs_no_call_that_was_not_sent_to_it() {
    let (pool, _, board) = pool(2, |server, before| match (server, before) {
        (0, 3..) => Some(Err(Connect("refused".into()).into())),
        _ => Some(Ok(single())),
    })
    .await;
    // Back each time, it gets a tenth of its share.
    for _ in 0..1000 {
        assert!(pool.clone().oneshot(call()).await.is_ok());
        // The probes still succeed here: the endpoint returns, fails, and is passed over again.
        tokio::task::yield_now().await;
    }
    assert!(!board.verdict("e-0").is_well(), "at last its breaker is open");
}

#[tokio::test(start_paused = true)]
async fn a_full_endpoint_hands_the_call_to_a_sibling_and_a_full_pool_says_so() {
    let (pool, meters, board) = pool(2, |_, _| Some(Ok(streaming().1))).await;
    let held = join_all((0..4).map(|_| pool.clone().oneshot(call()))).await;
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(meters.iter().map(Meter::in_flight).collect::<Vec<_>>(), [2, 2]);
    let error = pool.clone().oneshot(call()).await.unwrap_err();
    assert!(find::<Overloaded>(&*error).is_some());
    drop(held);
    assert_eq!(meters.iter().map(Meter::in_flight).collect::<Vec<_>>(), [0, 0]);
    assert!(board.verdict("e-0").is_well(), "being full is no illness");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_probes_and_hangs_on_calls_is_caught() {
    let (pool, _, board) = pool(2, |server, _| (server == 1).then(|| Ok(single()))).await;
    let timed = TimeoutLayer::new(Duration::from_millis(100), Duration::from_secs(300)).layer(pool);
    let mut failures = 0;
    for _ in 0..10 {
        if let Err(error) = timed.clone().oneshot(call()).await {
            assert!(find::<Elapsed>(&*error).is_some());
            failures += 1;
        }
    }
    assert_eq!(failures, 5, "every other call, until the breaker opens");
    assert!(!board.verdict("e-0").is_well());
    assert!(timed.oneshot(call()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_that_end_in_every_way_leave_nothing_behind() {
    fastrand::seed(9);
    let recovered = Arc::new(AtomicBool::new(false));
    let well = recovered.clone();
    let (pool, meters, _) = pool(3, move |server, before| {
        let (events, streamed) = streaming();
        match (server + before) % 7 {
            _ if well.load(Ordering::SeqCst) => Some(Ok(single())),
            0 => None,
            1 => Some(Err(Closed { sent: true }.into())),
            2 => Some(Err("odd".into())),
            3 => Some(Ok(streamed)),
            4 => {
                events.send(Err(Closed { sent: false }.into())).unwrap();
                Some(Ok(streamed))
            }
            5 => Some(Ok(Outcome::Accepted.into())),
            _ => Some(Ok(single())),
        }
    })
    .await;
    let timed = TimeoutLayer::new(Duration::from_secs(1), Duration::from_secs(3)).layer(pool);
    let timed = BoxCloneSyncService::new(timed);
    let calls = (0..1000).map(|n| {
        let (service, patience) = (timed.clone(), Duration::from_millis(fastrand::u64(..2000)));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n * 10)).await;
            // Whoever loses patience drops the call wherever it is.
            let _ = timeout(patience, async {
                if let Ok(reply) = service.oneshot(call()).await {
                    let _ = reply.into_events().next().await;
                }
            })
            .await;
        })
    });
    join_all(calls).await;
    assert_eq!(meters.iter().map(Meter::in_flight).collect::<Vec<_>>(), [0, 0, 0]);

    recovered.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for _ in 0..20 {
        assert!(timed.clone().oneshot(call()).await.is_ok(), "a permit, a trial or a count was lost");
    }
    assert!(meters.iter().all(Meter::is_well));
}
