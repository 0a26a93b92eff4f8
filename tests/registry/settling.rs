//! When the start is over: every configured server has answered or failed once, or patience is.

use crate::{
    fleet::{Fleet, Mode, server, tool},
    listed, send, start_with, status,
};
use std::time::Duration;
use tokio::time::Instant;
use tower_mcp_gateway::{
    error::explain,
    registry::{Registry, Status},
};

async fn settled(registry: &Registry) -> Duration {
    let start = Instant::now();
    registry.tables().settled().await;
    assert!(registry.is_settled());
    start.elapsed()
}

const INSTANT: Duration = Duration::from_millis(5);

#[tokio::test(start_paused = true)]
async fn all_that_answered_or_failed_once_is_enough() {
    let fleet = Fleet::default();
    fleet.peer("b").set(Mode::Down);
    let (registry, _driver) = start_with(&fleet, [server("a", "a"), server("b", "b")]);
    assert!(!registry.is_settled());
    assert!(settled(&registry).await < INSTANT);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_waited_for_as_long_as_patience_lasts() {
    let fleet = Fleet::default();
    fleet.peer("b").set(Mode::Hung);
    let (registry, _driver) = start_with(&fleet, [server("a", "a"), server("b", "b")]);
    listed(&registry, "a").await;
    assert!(!registry.is_settled());
    // Known names need not wait for that.
    let start = Instant::now();
    assert!(send(&registry, tool("echo")).await.is_ok());
    assert!(start.elapsed() < INSTANT);
    let error = send(&registry, tool("nowhere")).await.unwrap_err();
    let waited = start.elapsed();
    assert!((Duration::from_secs(4)..=Duration::from_secs(5) + INSTANT).contains(&waited), "{waited:?}");
    assert_eq!(explain(&*error).status, 503, "b has never been listed");
}

#[tokio::test(start_paused = true)]
async fn a_server_registered_later_does_not_unsettle() {
    let fleet = Fleet::default();
    let (registry, _driver) = start_with(&fleet, [server("a", "a")]);
    settled(&registry).await;
    fleet.peer("b").set(Mode::Hung);
    registry.register(server("b", "b")).unwrap();
    status(&registry, "b", Status::Connecting).await;
    let start = Instant::now();
    let error = send(&registry, tool("nowhere")).await.unwrap_err();
    assert!(registry.is_settled() && start.elapsed() < INSTANT);
    assert_eq!(explain(&*error).status, 503);
    fleet.peer("b").set(Mode::Up);
    listed(&registry, "b").await;
    let error = send(&registry, tool("nowhere")).await.unwrap_err();
    assert_eq!(explain(&*error).code, -32602, "now everyone has said what it has");
}

#[tokio::test(start_paused = true)]
async fn a_call_made_before_the_first_listing_finds_its_server() {
    let fleet = Fleet::default();
    fleet.peer("a").set(Mode::Hung);
    let (registry, _driver) = start_with(&fleet, [server("a", "a"), server("b", "b")]);
    fleet.peer("a").lists(["late"]);
    let call = tokio::spawn(send(&registry, tool("late")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!call.is_finished());
    fleet.peer("a").set(Mode::Up);
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_made_between_a_late_listing_and_the_first_check_finds_its_server() {
    let fleet = Fleet::default();
    fleet.peer("a").set(Mode::Slow);
    let (registry, _driver) = start_with(&fleet, [server("a", "a")]);
    listed(&registry, "a").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let call = tokio::spawn(send(&registry, tool("echo")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!call.is_finished());
    fleet.peer("a").set(Mode::Up);
    assert!(call.await.unwrap().is_ok());
}
