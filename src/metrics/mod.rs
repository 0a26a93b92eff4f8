//! What a gateway counts, and what it shows of itself.
//!
//! A [`Metrics`] handle belongs to one gateway, so two in one process do not mix. Whatever part of it turns something
//! away, drops it or repeats it says so with [`Metrics::count`]: one relaxed addition, no lock, no look-up. What concerns
//! single servers is counted by their [`Calls`].
//!
//! ```
//! use tower_mcp_gateway::metrics::{Count, Metrics};
//!
//! let metrics = Metrics::default();
//! metrics.count(Count::RateLimited);
//! assert_eq!(metrics.get(Count::RateLimited), 1);
//! ```
//!
//! With the feature `metrics`, [`Exposition`] writes it all as Prometheus text.

mod calls;
mod count;
#[cfg(feature = "metrics")]
mod exposition;
pub mod future;
mod gauge;
mod layer;
mod service;

pub(crate) use self::calls::Kind;
#[cfg(feature = "metrics")]
pub use self::exposition::Exposition;
pub use self::{
    calls::{Calls, Outcome},
    count::{Count, Family},
    gauge::{Gauge, Held},
    layer::TallyLayer,
    service::Tally,
};

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// The counters of one gateway; clones are the same.
///
/// The one of a registry is in its [`Settings`](crate::upstream::Settings::metrics), and everything behind the edge uses
/// that. A layer of your own takes a clone and counts what it refuses.
///
/// ```
/// use tower_mcp_gateway::metrics::{Count, Gauge, Metrics};
///
/// let metrics = Metrics::default();
/// let own = metrics.clone();
/// own.count(Count::Forbidden);
/// let call = own.hold(Gauge::Calls);
/// assert_eq!((metrics.get(Count::Forbidden), metrics.now(Gauge::Calls)), (1, 1));
/// drop(call);
/// assert_eq!((metrics.get(Count::Forbidden), metrics.now(Gauge::Calls)), (1, 0));
/// ```
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    counts: [AtomicU64; Count::ALL.len()],
    gauges: [AtomicI64; Gauge::ALL.len()],
}

impl Default for Inner {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; _], gauges: [const { AtomicI64::new(0) }; _] }
    }
}

impl Metrics {
    /// Counts one of them.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// Counts several at once.
    pub fn add(&self, what: Count, many: u64) {
        // Nothing is decided by these numbers, so that no order is at stake.
        self.0.counts[what as usize].fetch_add(many, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self, what: Count) -> u64 {
        self.0.counts[what as usize].load(Ordering::Relaxed)
    }

    /// Counts something as being there until the guard is dropped.
    pub fn hold(&self, what: Gauge) -> Held {
        Held::new(self.clone(), what)
    }

    /// How many there are.
    pub fn now(&self, what: Gauge) -> i64 {
        self.0.gauges[what as usize].load(Ordering::Relaxed)
    }

    fn shift(&self, what: Gauge, by: i64) {
        self.0.gauges[what as usize].fetch_add(by, Ordering::Relaxed);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = Count::ALL.iter().filter(|count| self.get(**count) > 0);
        f.debug_map().entries(counted.map(|count| (count, self.get(*count)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxError, error::Problem};
    use tower::load_shed::error::Overloaded;

    #[test]
    fn two_gateways_count_apart_and_clones_together() {
        let (own, other) = (Metrics::default(), Metrics::default());
        own.clone().add(Count::LogLine, 3);
        let held = own.hold(Gauge::Sessions);
        assert_eq!((own.get(Count::LogLine), other.get(Count::LogLine)), (3, 0));
        assert_eq!((own.now(Gauge::Sessions), other.now(Gauge::Sessions)), (1, 0));
        drop(held);
        assert_eq!(own.now(Gauge::Sessions), 0);
    }

    #[test]
    fn labels_tell_counts_of_a_family_apart() {
        let mut seen = std::collections::HashSet::new();
        for (place, count) in Count::ALL.iter().enumerate() {
            assert!(seen.insert((count.family(), count.label())), "{count:?}");
            assert_eq!(*count as usize, place);
        }
    }

    #[test]
    fn every_failure_has_a_count() {
        let of = |error: BoxError| Count::of(&*error);
        assert_eq!(of(Overloaded::new().into()), Count::Overloaded);
        assert_eq!(of("nobody foresaw it".into()), Count::Internal);
        assert_eq!(of(Problem::rpc(413, -32600, "").into()), Count::BodyTooLarge);
        assert_eq!(of(Problem::new(404, "session", "").into()), Count::UnknownSession);
        assert_eq!(of(Problem::new(418, "teapot", "").into()), Count::Other);
    }
}
