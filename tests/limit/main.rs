//! The permit is reserved in `poll_ready`, spent in `call`, and back when the reply is over.

#[path = "../support/calls.rs"]
mod calls;

use calls::{call, done, note, single, streaming};
use futures_util::StreamExt;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{ServiceExt, service_fn};
use tower_mcp_gateway::{Call, Reply, limit::LimitLayer};
use tower_test::mock::{self, Spawn};

type Limited = tower_mcp_gateway::limit::Limit<mock::Mock<Call, Reply>>;

fn limited(max: usize) -> (Spawn<Limited>, mock::Handle<Call, Reply>) {
    mock::spawn_layer(LimitLayer::new(max))
}

#[tokio::test]
async fn the_permit_comes_back_with_the_outcome_not_with_the_head() {
    let (mut service, mut handle) = limited(1);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    assert_pending!(service.poll_ready());

    let (events, streamed) = streaming();
    handle.next_request().await.unwrap().1.send_response(streamed);
    let reply = assert_ready_ok!(reply.poll());
    assert_pending!(service.poll_ready(), "the head is out, the call is not over");

    let mut reply = reply.into_events();
    events.send(note()).unwrap();
    reply.next().await.unwrap().unwrap();
    assert_pending!(service.poll_ready());

    events.send(done()).unwrap();
    reply.next().await.unwrap().unwrap();
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test]
async fn a_single_reply_gives_the_permit_back_at_once() {
    let (mut service, mut handle) = limited(1);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    handle.next_request().await.unwrap().1.send_response(single());
    let _kept = assert_ready_ok!(reply.poll());
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test]
async fn an_abandoned_reply_gives_the_permit_back() {
    let (mut service, mut handle) = limited(1);
    assert_ready_ok!(service.poll_ready());
    let mut reply = task::spawn(service.call(call()));
    handle.next_request().await.unwrap().1.send_response(streaming().1);
    let reply = assert_ready_ok!(reply.poll());
    assert_pending!(service.poll_ready());
    drop(reply);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test]
async fn a_dropped_future_and_a_failed_one_give_the_permit_back() {
    let (mut service, mut handle) = limited(1);
    assert_ready_ok!(service.poll_ready());
    let dropped = service.call(call());
    assert_pending!(service.poll_ready());
    drop(dropped);
    assert_ready_ok!(service.poll_ready());

    let mut failed = task::spawn(service.call(call()));
    let _first = handle.next_request().await.unwrap();
    handle.next_request().await.unwrap().1.send_error("broken");
    assert_ready_err!(failed.poll());
    assert_ready_ok!(service.poll_ready(), "though the failed future is still there");
}

#[tokio::test]
async fn a_clone_inherits_no_permit() {
    let (mut service, _handle) = limited(1);
    assert_ready_ok!(service.poll_ready());
    let mut other = service.clone();
    assert_pending!(other.poll_ready());
    drop(service);
    assert!(other.is_woken());
    assert_ready_ok!(other.poll_ready());
}

#[tokio::test]
async fn an_inner_service_that_fails_frees_the_permit() {
    let (mut service, mut handle) = limited(1);
    handle.allow(0);
    assert_pending!(service.poll_ready());
    assert_eq!(service.get_ref().available(), 0, "reserved while the rest is not ready");
    handle.send_error("broken");
    assert_ready_err!(service.poll_ready());
    assert_eq!(service.get_ref().available(), 1);
}

#[tokio::test]
#[should_panic(expected = "poll_ready must return Ready before call")]
async fn a_call_without_readiness_is_a_mistake() {
    let (mut service, _handle) = limited(1);
    drop(service.call(call()));
}

#[tokio::test]
async fn a_thousand_at_once_never_exceed_the_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counting = (now.clone(), most.clone());
    let inner = service_fn(move |_: Call| {
        let (now, most) = counting.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let last = async move {
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                done()
            };
            Ok::<_, Infallible>(Reply::stream(futures_util::stream::once(last)))
        }
    });
    let service = tower::Layer::layer(&LimitLayer::new(7), inner);
    let calls = (0..1000).map(|i| {
        let service = service.clone();
        tokio::spawn(async move {
            let reply = service.oneshot(call()).await.unwrap();
            if i % 3 == 0 { drop(reply.into_events().next().await) } else { drop(reply.outcome().await) }
        })
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(most.load(Ordering::SeqCst), 7);
    assert_eq!(service.available(), 7);
}

#[tokio::test]
async fn permits_go_to_who_asked_first() {
    let (mut first, _handle) = limited(1);
    let (mut second, mut third) = (first.clone(), first.clone());
    assert_ready_ok!(first.poll_ready());
    assert_pending!(second.poll_ready());
    assert_pending!(third.poll_ready());
    drop(first);
    assert_pending!(third.poll_ready());
    assert_ready_ok!(second.poll_ready());
    drop(second);
    assert_ready_ok!(third.poll_ready());
}
