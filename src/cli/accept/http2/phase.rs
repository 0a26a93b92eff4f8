use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// How far a connection has come, known to its two ends: the socket, which sees bytes, and the service, which sees
/// requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

/// Accepted, and nothing has been read yet.
const FRESH: u8 = 0;
/// The first request head is arriving.
const HEAD: u8 = 1;
/// Requests are answered, several at once: that one ends says nothing of the others.
const BUSY: u8 = 2;

impl Phase {
    /// Whether no byte was ever read.
    pub(super) fn is_fresh(&self) -> bool {
        self.get() == FRESH
    }

    /// Whether the first request head is awaited, whose deadline runs.
    pub(super) fn is_head(&self) -> bool {
        self.get() < BUSY
    }

    /// Bytes came.
    pub(super) fn head_begins(&self) {
        if self.is_fresh() {
            self.set(HEAD);
        }
    }

    /// A request came.
    pub(super) fn busy(&self) {
        self.set(BUSY);
    }

    // One connection's task does all the reading and writing, so that no ordering is at stake.
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}
