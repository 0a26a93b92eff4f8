//! Only what was never sent is repeated.

#[path = "../support/calls.rs"]
mod calls;

mod idempotent;

use calls::{call, note, part, single, streaming};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, ServiceExt, load_shed::error::Overloaded, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, EndpointId, Providers, Reply,
    balance::{
        Tried,
        error::{Failed, NoEndpoint},
    },
    error::find,
    rate::{Quota, error::Exceeded},
    retry,
    upstream::error::{Closed, Connect, Protocol, Refused, Replaced, SessionLost, Status},
};
use tower_test::mock;

/// Answers with `answer(attempt)` and tells how often it was called, with whom it should avoid.
async fn run(
    answer: impl Fn(usize) -> Result<Reply, BoxError> + Send + Sync + 'static,
) -> (usize, Result<Reply, BoxError>) {
    let (calls, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let counted = calls.clone();
    let service = service_fn(move |call: Call| {
        let attempt = counted.fetch_add(1, Ordering::Relaxed);
        let tried = call.extensions.get::<Tried>().map_or(0, |tried| tried.endpoints().len());
        assert_eq!(tried, attempt, "each endpoint that failed is remembered");
        let result = answer(attempt).map_err(|source| {
            let endpoint = format!("e-{attempt}").into();
            BoxError::from(Failed { endpoint, source, vacancy: None, turn: None })
        });
        async move { result }
    });
    let reply = retry::layer().layer(service).oneshot(call()).await;
    (calls.load(Ordering::Relaxed), reply)
}

#[tokio::test]
async fn a_call_that_was_never_sent_is_sent_three_times_at_most() {
    for kind in 0..4 {
        let (calls, reply) = run(move |_| {
            Err(match kind {
                0 => Connect("refused".into()).into(),
                1 => Closed { sent: false }.into(),
                2 => Replaced.into(),
                _ => Refused("no".into()).into(),
            })
        })
        .await;
        assert_eq!((calls, reply.is_err()), (3, true), "kind {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_endpoint_is_waited_for_about_a_second() {
    let begun = tokio::time::Instant::now();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let full = move |until: Duration| {
        let counted = counted.clone();
        service_fn(move |_: Call| {
            counted.fetch_add(1, Ordering::Relaxed);
            let full = begun.elapsed() < until;
            async move {
                match full {
                    true => Err(Failed {
                        endpoint: "e".into(),
                        source: Overloaded::new().into(),
                        vacancy: None,
                        turn: None,
                    }
                    .into()),
                    false => Ok::<_, BoxError>(single()),
                }
            }
        })
    };
    let reply = retry::layer().layer(full(Duration::from_millis(200))).oneshot(call()).await;
    assert!(reply.is_ok(), "room comes in time");

    let begun = tokio::time::Instant::now();
    let before = calls.load(Ordering::Relaxed);
    let error = retry::layer().layer(full(Duration::MAX)).oneshot(call()).await.unwrap_err();
    assert!(find::<Overloaded>(&*error).is_some());
    assert!(
        (Duration::from_millis(500)..Duration::from_millis(1600)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    let looks = calls.load(Ordering::Relaxed) - before;
    assert!((2 * 60..2 * 130).contains(&looks), "a bounded number of looks, in the time of each: {looks}");
}

#[tokio::test]
async fn where_nobody_is_left_the_first_failure_is_the_answer() {
    let (calls, reply) = run(|attempt| {
        Err(match attempt {
            0 => Connect("refused".into()).into(),
            _ => NoEndpoint { server: "s".into() }.into(),
        })
    })
    .await;
    assert_eq!(calls, 2);
    assert!(find::<Connect>(&*reply.unwrap_err()).is_some());
    let (_, reply) = run(|_| Err(NoEndpoint { server: "s".into() }.into())).await;
    assert!(find::<NoEndpoint>(&*reply.unwrap_err()).is_some());
}

#[tokio::test]
async fn replicas_whose_rate_is_used_up_are_passed_over_and_none_is_waited_for() {
    let used_up = |last| {
        let quota: Quota = "1/h".parse().unwrap();
        let service = service_fn(move |call: Call| {
            let tried = Tried::of(&call).len();
            async move {
                if tried == last {
                    return Ok(single());
                }
                let (endpoint, retry_after) = (format!("e-{tried}").into(), Duration::from_secs(1));
                let source = Exceeded { quota, retry_after }.into();
                Err(BoxError::from(Failed { endpoint, source, vacancy: None, turn: None }))
            }
        });
        retry::layer().layer(service)
    };
    let endpoints: Vec<EndpointId> = (0..6).map(|n| format!("e-{n}").into()).collect();
    let mut wide = call();
    wide.providers = Some(Providers::new(endpoints).into());
    assert!(used_up(5).oneshot(wide.clone()).await.is_ok(), "all six are looked at");
    assert!(find::<Exceeded>(&*used_up(6).oneshot(wide).await.unwrap_err()).is_some());
}

#[tokio::test]
async fn the_first_success_is_the_answer() {
    let (calls, reply) = run(|attempt| if attempt == 1 { Ok(single()) } else { Err(Overloaded::new().into()) }).await;
    assert_eq!((calls, reply.is_ok()), (2, true));
}

#[tokio::test]
async fn nothing_that_may_have_been_sent_is_repeated() {
    for kind in 0..4 {
        let (calls, reply) = run(move |_| {
            Err(match kind {
                0 => Closed { sent: true }.into(),
                1 => Status(http::StatusCode::SERVICE_UNAVAILABLE).into(),
                2 => Protocol("odd".into()).into(),
                3 => SessionLost.into(),
                _ => "something else".into(),
            })
        })
        .await;
        assert_eq!((calls, reply.is_err()), (1, true), "kind {kind}");
    }
}

#[tokio::test]
async fn an_answer_is_never_repeated_even_one_that_fails_later() {
    for passed_on in [None, Some(note as fn() -> _), Some(part)] {
        let (calls, reply) = run(move |_| {
            let (events, reply) = streaming();
            passed_on.into_iter().for_each(|event| events.send(event()).unwrap());
            events.send(Err(Closed { sent: false }.into())).unwrap();
            Ok(reply)
        })
        .await;
        assert_eq!(calls, 1);
        assert!(reply.unwrap().outcome().await.is_err());
    }
}

#[tokio::test]
async fn readiness_is_forwarded() {
    let (mut service, mut handle) = mock::spawn_layer::<Call, Reply, _>(retry::layer());
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
}
