use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The endpoints of one pool, whose breakers must not empty it.
///
/// Failed calls say less than a failed connection: a bad release, or a dependency that all replicas share, fails them
/// everywhere. Were every breaker to open then, a pool that still answers some calls would answer none. So breakers take
/// out at most half of the endpoints that answer their probes, and the rest goes on with what it can do ("panic
/// mode"). One may always be taken out: in a pool of one the open breaker is what makes calls fail at once rather than
/// each by its own timeout.
///
/// Clones are the same group; give one to [`Board::endpoint_in`](super::Board::endpoint_in) for each of its endpoints.
///
/// ```
/// use tower_mcp_gateway::health::{Board, Peers};
///
/// let (board, search) = (Board::default(), Peers::default());
/// let first = board.endpoint_in(&"search-1".into(), &search);
/// let second = board.endpoint_in(&"search-2".into(), &search);
/// # drop((first, second));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    /// Endpoints whose probes succeed.
    up: usize,
    /// Those of them whose breaker is not closed.
    out: usize,
}

impl Peers {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an endpoint whose probes succeed, until the guard is dropped.
    pub(super) fn up(&self) -> Up {
        self.count().up += 1;
        Up(self.clone())
    }

    /// Takes an endpoint out until the guard is dropped; none if too many are out already.
    pub(super) fn out(&self) -> Option<Out> {
        let mut count = self.count();
        if count.out >= (count.up / 2).max(1) {
            return None;
        }
        count.out += 1;
        Some(Out(self.clone()))
    }
}

/// An endpoint that answers its probes.
#[derive(Debug)]
pub(super) struct Up(Peers);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.count().up -= 1;
    }
}

/// An endpoint that its breaker has taken out.
#[derive(Debug)]
pub(super) struct Out(Peers);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.count().out -= 1;
    }
}
