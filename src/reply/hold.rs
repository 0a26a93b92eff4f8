use super::Event;
use crate::BoxError;
use std::{any::Any, fmt};

/// The guards of one reply, dropped together, the last one first: what an outer layer added goes before what an inner
/// one did, as with nested futures.
#[derive(Default)]
pub(super) struct Held(Vec<Guard>);

/// What lives as long as a reply.
enum Guard {
    Of(#[expect(dead_code, reason = "it is kept to be dropped")] Box<dyn Any + Send>),
    /// What wants to know how it ends.
    Watcher(Box<dyn Watch>),
}

/// Sees the last event of a reply, and no other.
pub(crate) trait Watch: Send + 'static {
    /// How the reply ended. Not called where it is abandoned before.
    fn end(&mut self, end: &Result<Event, BoxError>);
}

impl Held {
    pub(super) fn push<G: Any + Send>(&mut self, guard: G) {
        self.0.push(Guard::Of(Box::new(guard)));
    }

    pub(super) fn watch(&mut self, watcher: impl Watch) {
        self.0.push(Guard::Watcher(Box::new(watcher)));
    }

    /// Tells all who watch, the innermost first.
    pub(super) fn ended(&mut self, end: &Result<Event, BoxError>) {
        for guard in &mut self.0 {
            if let Guard::Watcher(watcher) = guard {
                watcher.end(end);
            }
        }
    }

    pub(super) fn release(&mut self) {
        while self.0.pop().is_some() {}
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} held", self.0.len())
    }
}
