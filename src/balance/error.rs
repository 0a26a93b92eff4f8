//! How balancing fails.

use super::{Turn, Vacancy};
use crate::{BoxError, EndpointId, ServerName};

/// No endpoint of the pool can take the call.
#[derive(Debug, thiserror::Error)]
#[error("no healthy endpoint of {server:?} is available")]
pub struct NoEndpoint {
    /// The pool.
    pub server: ServerName,
}

/// An endpoint's error, with the endpoint.
///
/// Its text is the cause's own: which replica it was belongs in the log, not in what a client reads.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct Failed {
    /// Who failed.
    pub endpoint: EndpointId,
    /// How.
    #[source]
    pub source: BoxError,
    /// Where to wait for another call of the pool to end, if the endpoint was full.
    pub vacancy: Option<Vacancy>,
    /// Where the call stands there, if it has waited already.
    pub turn: Option<Turn>,
}
