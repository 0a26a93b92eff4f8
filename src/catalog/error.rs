//! How listing a server fails.

use crate::Method;
use std::time::Duration;

/// The server gave no answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer to {method} within {} ms", .limit.as_millis())]
pub struct Silent {
    /// What was asked.
    pub method: Method,
    /// How long the gateway waited.
    pub limit: Duration,
}

/// The server answered with an error.
#[derive(Debug, thiserror::Error)]
#[error("{method} was refused with code {code}")]
pub struct Refused {
    /// What was asked.
    pub method: Method,
    /// The JSON-RPC code; 0 if the error has none.
    pub code: i64,
}

/// The server is the gateway itself, or a gateway that has it behind it: its tools would be listed once more at each round,
/// under longer names.
///
/// Known by what [registries](crate::registry) of this crate tell in `_meta`.
#[derive(Debug, thiserror::Error)]
#[error("this is the gateway itself, or one that has it behind it: take it out of the servers of one of the two")]
pub struct Circle(pub(crate) ());

/// The server's answer is no list.
#[derive(Debug, thiserror::Error)]
#[error("the result of {method} lacks its list")]
pub struct NoList {
    /// What was asked.
    pub method: Method,
}
