//! Peers for wire tests: servers of every kind that a gateway meets, and clients of both eras.
//!
//! None of it uses the gateway's own code, so that a mistake there is not made twice. Each test target takes what it
//! needs by `#[path = "../support/mod.rs"] mod support;`.

#![allow(dead_code, reason = "each test target uses its part")]
#![allow(unused_imports, reason = "as above")]
#![allow(unreachable_pub, reason = "a test target exports nothing")]

pub mod asking;
pub mod clients;
pub mod faults;
pub mod kept;
#[path = "../../examples/platform/kit/mod.rs"]
pub(crate) mod kit;
pub mod ledger;
pub mod peer;
pub mod servers;

use std::{future::Future, time::Duration};

/// Long enough for anything on loopback on a busy machine; a test that waits longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits something that must come, and fails in words where it does not.
#[track_caller]
pub fn soon<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(value) => value,
            Err(_) => panic!("{what} did not happen in {PATIENCE:?} ({place})"),
        }
    }
}
