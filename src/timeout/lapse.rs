use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Tells the layers behind [`Timeout`](super::Timeout) why a call was dropped.
///
/// A deadline ends a call by dropping it, and so does a client that went away; only the first says something about the
/// server. `Timeout` puts one into [`Call::extensions`](crate::Call::extensions) and sets it before it drops a call the
/// server was silent about; [`Observe`](crate::health::observe::Observe) reads it when it is dropped itself.
///
/// ```
/// use tower_mcp_gateway::timeout::Lapse;
///
/// let lapse = Lapse::default();
/// let seen = lapse.clone();
/// lapse.set();
/// assert!(seen.is_set());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lapse(Arc<AtomicBool>);

impl Lapse {
    /// Whether the server's silence ended the call.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Records that the server's silence ends the call; for deadlines of your own.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}
