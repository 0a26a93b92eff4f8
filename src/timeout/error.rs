//! How waiting ends.

use std::time::Duration;

/// The server was silent for too long, or the call took too long in all.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} ms", .0.as_millis())]
pub struct Elapsed(pub(super) Duration);

/// The call was still running when the time that a gateway gives its calls at the end was over.
#[derive(Debug, thiserror::Error)]
#[error("the gateway is shutting down")]
pub struct Stopping(pub(super) ());
