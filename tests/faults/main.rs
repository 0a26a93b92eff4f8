//! The whole gateway before servers that misbehave in every way there is.
//!
//! Each test names what must hold. Times are real: a call is bounded by [`SILENCE`], a connection by [`CONNECT`], and
//! what a busy machine adds to both by the second that every bound leaves.
#![cfg(all(feature = "http", feature = "sse", feature = "stdio", feature = "legacy"))]

mod begun;
mod bombs;
mod breaker;
mod children;
mod client;
#[cfg(feature = "metrics")]
mod counted;
mod crowded;
#[allow(dead_code, reason = "each test target uses its part")]
#[path = "../e2e/front.rs"]
mod front;
mod hung;
mod isolated;
mod large;
mod lost;
mod once;
#[path = "../support/piecemeal.rs"]
mod piecemeal;
mod program;
mod refused;
mod soak;
mod stopped;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/wire.rs"]
mod wire;
mod wrong;

use front::Front;
use std::{future::Future, time::Duration};
use support::faults::{Faulty, Wire};
use tokio::time::Instant;
use tower_mcp_gateway::{config::Config, registry::Server};

/// The longest silence of a server.
const SILENCE: Duration = Duration::from_secs(2);
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_millis(500);
/// A server that is well again must be used again within this.
const RECOVERY: Duration = Duration::from_secs(5);

/// The entry of a faulty server.
fn entry(id: &str, name: &str, server: &Faulty) -> Server {
    let entry = match server.wire {
        Wire::Sse => Server::sse(id, name, &server.url()),
        _ => Server::http(id, name, &server.url()),
    };
    entry.expect("a URL of our own")
}

fn bounds(config: &mut Config) {
    (config.request_timeout, config.connect_timeout) = (SILENCE, CONNECT);
    config.health_check_interval = Duration::from_secs(1);
    config.start_patience = Duration::from_secs(3);
}

/// A gateway before these.
async fn gateway(servers: Vec<Server>) -> Front {
    Front::with(servers, bounds).await
}

/// Awaits `future` and says how long that took.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let value = future.await;
    (value, begun.elapsed())
}
