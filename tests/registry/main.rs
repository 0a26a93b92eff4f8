//! Servers registered and unregistered while a gateway runs.

#[path = "../support/fleet.rs"]
mod fleet;

mod commands;
mod life;
mod order;
mod reload;
mod settling;
mod trouble;

use fleet::Fleet;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::{task::JoinHandle, time::timeout};
use tower::ServiceExt;
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    balance::policy::Strategy,
    registry::{Entry, Registry, Server, Status},
    route::Route,
};

/// A registry over servers in memory, with its driver running.
fn start(fleet: &Fleet) -> (Registry, JoinHandle<()>) {
    start_with(fleet, [])
}

fn start_with<const N: usize>(fleet: &Fleet, configured: [Server; N]) -> (Registry, JoinHandle<()>) {
    let builder = Registry::builder().strategy(Strategy::RoundRobin).connect(fleet.connect());
    let builder = builder.endpoint(|_: &Server, connection| connection);
    let (registry, driver) = builder.build_with(configured).unwrap();
    (registry, tokio::spawn(driver))
}

fn ids(registry: &Registry) -> Vec<String> {
    registry.list().iter().map(|entry| entry.id.to_string()).collect()
}

fn entry(registry: &Registry, id: &str) -> Option<Entry> {
    registry.list().into_iter().find(|entry| entry.id.as_str() == id)
}

/// Waits until `wanted` is true of the list.
async fn until(registry: &Registry, wanted: impl Fn(&[Entry]) -> bool) {
    let mut changes = registry.changes();
    let seen = async {
        while !wanted(&registry.list()) {
            changes.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(600), seen).await.unwrap_or_else(|_| panic!("never so: {:#?}", registry.list()));
}

async fn status(registry: &Registry, id: &str, status: Status) {
    until(registry, |list| list.iter().any(|entry| entry.id.as_str() == id && entry.status == status)).await;
}

async fn listed(registry: &Registry, id: &str) {
    until(registry, |list| list.iter().any(|entry| entry.id.as_str() == id && entry.listing.is_some())).await;
}

/// A call through the routing table of `registry`.
fn send(registry: &Registry, call: Call) -> BoxFuture<'static, Result<Reply, BoxError>> {
    Box::pin(<Route>::new(registry.tables()).oneshot(call))
}
