use std::time::Duration;

/// How long a call waits for a pool without an eligible endpoint to get one.
///
/// A pool that has just been made has none until its first health check, and calls should not fail for that: a server that
/// takes long to start may have listed its tools a moment before that check is answered. Later on an empty pool is one that
/// is down, and saying so at once is better than a queue of calls.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_gateway::balance::Patience;
///
/// let patient = Patience { later: Duration::from_millis(500), ..Patience::default() };
/// assert_eq!(patient.start, Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Counted from the call, while the pool has never had a member: 2 s.
    pub start: Duration,
    /// Counted from the call, once it has had one: none.
    pub later: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { start: Duration::from_secs(2), later: Duration::ZERO }
    }
}

impl From<Duration> for Patience {
    /// This long at the start, and none later.
    fn from(start: Duration) -> Self {
        Self { start, ..Self::default() }
    }
}
