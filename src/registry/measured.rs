use super::Status;
use crate::{EndpointId, ServerName, metrics::Calls};

/// The numbers of one server, as [`Registry::measured`](super::Registry::measured) gives them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured {
    /// The unique id.
    pub id: EndpointId,
    /// The pool it belongs to.
    pub name: ServerName,
    /// Where it stands.
    pub status: Status,
    /// How its calls ended, and what else is counted of it.
    pub calls: Calls,
    /// Its calls that have not ended.
    pub in_flight: usize,
    /// How often its breaker opened.
    pub breaker_opened: u64,
}
