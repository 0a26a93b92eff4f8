use super::Metrics;

/// Something that is there for a while, of a whole gateway.
///
/// ```
/// use tower_mcp_gateway::metrics::Gauge;
///
/// assert_eq!(Gauge::ALL.map(Gauge::name), ["sessions", "streams", "calls_in_flight"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gauge {
    /// Sessions of initialize-era clients.
    Sessions,
    /// Clients that listen for changes.
    Streams,
    /// Calls from the moment the edge hands them on until their last event.
    Calls,
}

impl Gauge {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Gauge; 3] = [Gauge::Sessions, Gauge::Streams, Gauge::Calls];

    /// The metric's name without prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Gauge::Sessions => "sessions",
            Gauge::Streams => "streams",
            Gauge::Calls => "calls_in_flight",
        }
    }

    /// What the metric counts, in one sentence.
    pub const fn help(self) -> &'static str {
        match self {
            Gauge::Sessions => "Sessions of initialize-era clients",
            Gauge::Streams => "Clients that listen for changes",
            Gauge::Calls => "Calls from the edge to their last event, those that wait for a place included",
        }
    }
}

/// Something that is counted as being there until this is dropped.
#[derive(Debug)]
#[must_use = "it is counted until this is dropped"]
pub struct Held {
    metrics: Metrics,
    what: Gauge,
}

impl Held {
    pub(super) fn new(metrics: Metrics, what: Gauge) -> Self {
        metrics.shift(what, 1);
        Self { metrics, what }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.shift(self.what, -1);
    }
}
