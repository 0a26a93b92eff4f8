//! How balancing fails.

use crate::ServerName;

/// No endpoint of the pool can take the call.
#[derive(Debug, thiserror::Error)]
#[error("no healthy endpoint of {server:?} is available")]
pub struct NoEndpoint {
    /// The pool.
    pub server: ServerName,
}
