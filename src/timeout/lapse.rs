use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What [`Timeout`](super::Timeout) and the layers behind it tell each other about one call: why it was dropped, and how
/// long it may be silent.
///
/// A deadline ends a call by dropping it, and so does a client that went away; only the first says something about the
/// server. `Timeout` puts one into [`Call::lapse`](crate::Call::lapse) and sets it before it drops a call the
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
pub struct Lapse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_set: AtomicBool,
    is_over: AtomicBool,
    /// In milliseconds; 0 for the usual one.
    silence: AtomicU64,
}

impl Lapse {
    /// Whether the server's silence ended the call.
    pub fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Acquire)
    }

    /// Records that the server's silence ends the call; for deadlines of your own.
    pub fn set(&self) {
        self.0.is_set.store(true, Ordering::Release);
    }

    /// Whether a deadline ended the call, be it for the server's silence or another.
    pub fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Acquire) || self.is_set()
    }

    /// Records that a deadline ends the call for which the server is not to blame: a person did not answer, or the call was
    /// lively and too long. It is counted as timed out, and opens no breaker; for deadlines of your own, before they drop it.
    ///
    /// ```
    /// use tower_mcp_gateway::timeout::Lapse;
    ///
    /// let lapse = Lapse::default();
    /// lapse.end();
    /// assert!(lapse.is_over() && !lapse.is_set());
    /// ```
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Release);
    }

    /// Allows the call another longest silence than the usual one, in whole milliseconds; for what turns out to be slow
    /// by nature once it is known what is called. The longest total stands.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mcp_gateway::timeout::Lapse;
    ///
    /// let lapse = Lapse::default();
    /// assert_eq!(lapse.silence(), None);
    /// lapse.allow(Duration::from_secs(120));
    /// assert_eq!(lapse.silence(), Some(Duration::from_secs(120)));
    /// ```
    pub fn allow(&self, silence: Duration) {
        let ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        self.0.silence.store(ms.max(1), Ordering::Relaxed);
    }

    /// Takes back what the call was [allowed](Self::allow): it goes on elsewhere.
    pub(crate) fn allow_no_more(&self) {
        self.0.silence.store(0, Ordering::Relaxed);
    }

    /// The longest silence this call was [allowed](Self::allow), if it is not the usual one.
    pub fn silence(&self) -> Option<Duration> {
        match self.0.silence.load(Ordering::Relaxed) {
            0 => None,
            ms => Some(Duration::from_millis(ms)),
        }
    }
}
