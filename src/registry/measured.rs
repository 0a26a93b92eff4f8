use super::Status;
use crate::{EndpointId, ServerName, metrics::Calls};

/// The numbers of one server, as [`Registry::measured`](super::Registry::measured) gives them.
///
/// ```
/// use tower_mcp_gateway::{metrics::Outcome, registry::{Registry, Server, Status}};
///
/// let (registry, _driver) = Registry::builder().build();
/// registry.register(Server::http("search-1", "search", "http://localhost:3510/mcp")?)?;
/// let search = registry.measured().remove(0);
/// assert_eq!((search.status, search.in_flight), (Status::Registered, 0));
/// assert_eq!(search.calls.total(Outcome::Failed), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
