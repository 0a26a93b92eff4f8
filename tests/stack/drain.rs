//! The end of a gateway.

use crate::{
    fleet::{Fleet, Mode, server},
    wire::{call, request, text},
};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_mcp_gateway::{
    Gateway,
    config::Config,
    origin::OriginLayer,
    registry::{Registry, Server},
};

/// A gateway before one server `a`, that may drain for 5 s.
async fn gateway(fleet: &Fleet) -> Gateway {
    let builder = Registry::builder().connect(fleet.connect()).endpoint(|_: &Server, connection| connection);
    let (registry, driver) = builder.build_with([server("a", "a")]).unwrap();
    tokio::spawn(driver);
    registry.tables().settled().await;
    sleep(Duration::from_millis(10)).await;
    let mut limits = Config::default().limits;
    limits.drain_timeout = Duration::from_secs(5);
    Gateway::with_limits(registry, OriginLayer::localhost(), Duration::from_secs(30), &limits)
}

#[tokio::test(start_paused = true)]
async fn running_calls_finish_new_ones_are_refused_and_listeners_are_told() {
    let fleet = Fleet::default();
    let gateway = gateway(&fleet).await;
    fleet.peer("a").set(Mode::Streaming);
    let running = gateway.clone().oneshot(call()).await.unwrap();
    let listen = request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let listening = gateway.clone().oneshot(listen).await.unwrap();
    let drained = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.drain().await }
    });
    sleep(Duration::from_secs(1)).await;

    assert!(text(listening).await.contains("\"result\""), "the end of the stream is an answer");
    let refused = gateway.clone().oneshot(call()).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let told: Value = serde_json::from_str(&text(refused).await).unwrap();
    assert_eq!(told["error"]["data"]["reason"], "shutting_down", "nobody wants to be woken for a gateway that is full");
    assert!(!drained.is_finished());
    assert_eq!(fleet.peer("a").in_flight(), 1);
    fleet.peer("a").set(Mode::Up);
    assert!(text(running).await.contains("\"result\""), "it ended as if nothing were");
    drained.await.unwrap();
    assert!(gateway.registry().list().is_empty());
    assert_eq!((fleet.peer("a").calls(), fleet.peer("a").handles()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_get_an_error_when_the_drain_is_over() {
    let fleet = Fleet::default();
    let gateway = gateway(&fleet).await;
    fleet.peer("a").set(Mode::Busy);
    let hung = tokio::spawn(gateway.clone().oneshot(call()));
    sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    gateway.drain().await;
    let took = start.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_millis(5_500)).contains(&took), "{took:?}");
    let answer = hung.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    let answer: Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["data"]["reason"]), (&json!(7), &json!("shutting_down")));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_does_not_keep_a_gateway_alive() {
    let fleet = Fleet::default();
    let gateway = gateway(&fleet).await;
    fleet.peer("a").set(Mode::Streaming);
    let unread = gateway.clone().oneshot(call()).await.unwrap();
    let start = Instant::now();
    gateway.drain().await;
    assert!(start.elapsed() < Duration::from_secs(5 + 2), "{:?}", start.elapsed());
    drop(unread);
    sleep(Duration::from_millis(10)).await;
    assert_eq!((fleet.peer("a").in_flight(), fleet.peer("a").handles()), (0, 0));
    assert!(gateway.registry().close().now_or_never().is_some());
}
