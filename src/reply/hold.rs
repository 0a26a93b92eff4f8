use std::{any::Any, fmt};

/// The guards of one reply, dropped together, the last one first: what an outer layer added goes before what an inner
/// one did, as with nested futures.
#[derive(Default)]
pub(super) struct Held(Vec<Box<dyn Any + Send>>);

impl Held {
    pub(super) fn push<G: Any + Send>(&mut self, guard: G) {
        self.0.push(Box::new(guard));
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
