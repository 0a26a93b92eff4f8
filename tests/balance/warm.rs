//! A member that comes back gets its share of the calls little by little, whatever the policy.

use crate::{
    calls::call,
    discovery,
    patient::{Patient, patient, verdict},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::advance;
use tower::{Layer, ServiceExt, discover::Change, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    balance::{balance, policy::Strategy},
    health::{Board, Healthy, observe::ObserveLayer},
    load::{Meter, Metered},
    reply::Outcome,
    retry,
    upstream::error::Closed,
};

const CALLS: usize = 1000;

/// The part of `CALLS` that the first of two replicas gets.
async fn share(strategy: Strategy, away: bool, back_for: Duration) -> f64 {
    let board = Board::default();
    let patients = [patient(&board, "e-0").await, patient(&board, "e-1").await];
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let (found, discover) = tokio::sync::mpsc::unbounded_channel::<Result<_, BoxError>>();
    for (at, Patient { vital, .. }) in patients.iter().enumerate() {
        let count = counts[at].clone();
        let server = service_fn(move |_: Call| {
            count.fetch_add(1, SeqCst);
            async { Ok::<_, BoxError>(Reply::single(Outcome::Accepted)) }
        });
        let stack = ObserveLayer::new(vital.clone()).layer(server);
        let metered = Metered::new(stack, Meter::with_vital(1, vital.clone()));
        found.send(Ok(Change::Insert(vital.id().clone(), metered))).unwrap();
    }
    let healthy = Healthy::new(crate::discovered(discover), board.subscribe());
    let (pool, driver) = balance("one".into(), healthy, strategy, Duration::from_secs(1));
    tokio::spawn(driver);
    if away {
        let dying = service_fn(|_: Call| async { Err::<Reply, _>(BoxError::from(Closed { sent: true })) });
        let _ = ObserveLayer::new(patients[0].vital.clone()).layer(dying).oneshot(call()).await;
        verdict(&board, "e-0", true).await;
    }
    advance(back_for).await;
    for _ in 0..CALLS {
        assert!(pool.clone().oneshot(call()).await.is_ok());
    }
    drop(found);
    counts[0].load(SeqCst) as f64 / CALLS as f64
}

#[tokio::test(start_paused = true)]
async fn the_share_of_one_that_comes_back_grows_to_all_of_it_within_ten_seconds() {
    fastrand::seed(11);
    for strategy in Strategy::ALL {
        let usual = share(strategy, false, Duration::ZERO).await;
        assert!((0.4..0.6).contains(&usual), "{strategy}: {usual}");
        let mut last = 0.0;
        for (seconds, most) in [(0, 0.12), (5, 0.4), (11, 0.6)] {
            let now = share(strategy, true, Duration::from_secs(seconds)).await;
            assert!(now > last && now < most, "{strategy} after {seconds} s: {now}");
            last = now;
        }
        assert!(last > 0.4, "{strategy}: {last}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_to_an_empty_pool_gets_every_call() {
    let board = Board::default();
    let Patient { vital, .. } = patient(&board, "e-0").await;
    let (found, discover) = discovery();
    let (server, mut handle) = tower_test::mock::pair::<Call, Reply>();
    found.send(Ok(Change::Insert("e-0".into(), Metered::new(server, Meter::with_vital(1, vital.clone()))))).unwrap();
    let (pool, driver) = balance("one".into(), discover, Strategy::RoundRobin, Duration::from_secs(1));
    tokio::spawn(driver);
    let dying = service_fn(|_: Call| async { Err::<Reply, _>(BoxError::from(Closed { sent: true })) });
    let _ = retry::layer().layer(ObserveLayer::new(vital.clone()).layer(dying)).oneshot(call()).await;
    verdict(&board, "e-0", true).await;
    assert!(vital.share() < 0.2);
    for _ in 0..20 {
        let answered = tokio::spawn(pool.clone().oneshot(call()));
        handle.next_request().await.unwrap().1.send_response(Reply::single(Outcome::Accepted));
        assert!(answered.await.unwrap().is_ok());
    }
}
