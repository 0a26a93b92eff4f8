use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// What a connection is doing, known to its two ends: the socket, which sees heads begin, and the service, which sees
/// requests and the ends of their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

/// Accepted, and nothing has been read yet.
const FRESH: u8 = 0;
/// A request head is arriving.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;
/// The last answer is complete.
const IDLE: u8 = 3;

impl Phase {
    /// Whether no byte was ever read.
    pub(super) fn is_fresh(&self) -> bool {
        self.get() == FRESH
    }

    /// Whether a request head is awaited whose deadline runs.
    pub(super) fn is_head(&self) -> bool {
        matches!(self.get(), FRESH | HEAD)
    }

    /// Bytes came; whether they begin a head whose deadline must be set.
    pub(super) fn head_begins(&self) -> bool {
        let before = self.get();
        if matches!(before, FRESH | IDLE) {
            self.set(HEAD);
        }
        // That of the first has been running since the connection was accepted.
        before == IDLE
    }

    /// A request is being answered until the guard is dropped.
    pub(super) fn busy(&self) -> Busy {
        self.set(BUSY);
        Busy(self.clone())
    }

    /// Requests are answered from now on, several at once: that one ends says nothing of the others.
    pub(super) fn shared(&self) {
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

/// Held while a request is being answered.
#[derive(Debug)]
pub(super) struct Busy(Phase);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(IDLE);
    }
}
