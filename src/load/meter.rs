use super::ewma::Ewma;
use crate::{clock, health::Vital};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// Latencies below this count as equal, so that among fast or unknown servers the calls in flight decide.
const FLOOR_MICROS: f32 = 100.0;

/// What is known of one endpoint's load; clones are the same meter.
///
/// Keep it with the endpoint rather than with its membership: one that leaves a pool and comes back then still knows
/// the calls it has in flight.
///
/// ```
/// use tower_mcp_gateway::load::Meter;
///
/// let meter = Meter::new(3);
/// let flight = meter.start();
/// assert_eq!((meter.weight(), meter.in_flight()), (3, 1));
/// drop(flight);
/// assert_eq!(meter.in_flight(), 0);
/// ```
#[derive(Clone)]
pub struct Meter(Arc<Inner>);

struct Inner {
    weight: u32,
    in_flight: AtomicUsize,
    latency: Ewma,
    vital: Option<Vital>,
    tasks: Option<TaskTracker>,
}

/// What the next call would cost: the average latency times the calls it would share the endpoint with.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Cost(f32);

impl Meter {
    /// A meter that has seen nothing, of an endpoint with this share of a weighted pool (0 counts as 1).
    pub fn new(weight: u32) -> Self {
        Self::make(weight, None, None)
    }

    /// A meter of an endpoint whose health is known: balancers pass over it from the moment `vital` is not well, before
    /// any snapshot tells so.
    pub fn with_vital(weight: u32, vital: Vital) -> Self {
        Self::make(weight, Some(vital), None)
    }

    /// A meter whose calls also count as tasks of the endpoint: who waits for these waits for the last call.
    pub(crate) fn of_endpoint(weight: u32, vital: Vital, tasks: TaskTracker) -> Self {
        Self::make(weight, Some(vital), Some(tasks))
    }

    fn make(weight: u32, vital: Option<Vital>, tasks: Option<TaskTracker>) -> Self {
        let (weight, in_flight, latency) = (weight.max(1), AtomicUsize::new(0), Ewma::new());
        Self(Arc::new(Inner { weight, in_flight, latency, vital, tasks }))
    }

    /// The share of a weighted pool.
    pub fn weight(&self) -> u32 {
        self.0.weight
    }

    /// Calls begun whose reply is neither complete nor abandoned.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// The moving average of the time to the first answer; zero before the first.
    pub fn latency(&self) -> Duration {
        Duration::from_secs_f32(self.0.latency.micros() / 1e6)
    }

    /// What the next call would cost.
    ///
    /// Among endpoints whose latency is unknown or below 100 µs the calls in flight decide alone. A latency fades while
    /// no calls come, so an endpoint that was slow once is tried again.
    pub fn cost(&self) -> Cost {
        Cost(self.0.latency.micros().max(FLOOR_MICROS) * (self.in_flight() as f32 + 1.0))
    }

    /// Whether calls may go there right now: one atomic load. Always, for a meter without a [`Vital`].
    pub fn is_well(&self) -> bool {
        self.0.vital.as_ref().is_none_or(Vital::is_well)
    }

    /// The part of its usual calls that the endpoint should get, see [`Vital::share`]; 1 for a meter without one.
    pub fn share(&self) -> f32 {
        self.0.vital.as_ref().map_or(1.0, Vital::share)
    }

    /// Whether the endpoint should be considered for one more call, see [`Vital::takes_turn`]; always, for a meter without
    /// one.
    pub fn takes_turn(&self) -> bool {
        self.0.vital.as_ref().is_none_or(Vital::takes_turn)
    }

    /// Counts a call in flight until the guard is dropped.
    #[must_use = "the call is counted until this is dropped"]
    pub fn start(&self) -> Flight {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight {
            _task: self.0.tasks.as_ref().map(TaskTracker::token),
            meter: self.clone(),
            started: Some(clock::now()),
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut meter = f.debug_struct("Meter");
        meter.field("weight", &self.weight()).field("in_flight", &self.in_flight());
        meter.field("latency", &self.latency()).field("well", &self.is_well()).finish()
    }
}

/// One call in flight.
#[derive(Debug)]
pub struct Flight {
    meter: Meter,
    // Some until the first answer.
    started: Option<Instant>,
    _task: Option<TaskTrackerToken>,
}

impl Flight {
    /// Records the latency of the first answer; the call stays in flight.
    pub fn answered(&mut self) {
        if let Some(started) = self.started.take() {
            self.meter.0.latency.record(started);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.meter.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        // A call that failed or was given up says how long an answer takes at least. A quick refusal thus does not
        // make an endpoint look fast.
        if let Some(started) = self.started {
            self.meter.0.latency.record_at_least(started);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn the_latency_is_that_of_the_first_answer() {
        let meter = Meter::new(1);
        let mut flight = meter.start();
        advance(Duration::from_millis(100)).await;
        flight.answered();
        advance(Duration::from_secs(3)).await;
        drop(flight);
        let latency = meter.latency().as_millis();
        assert!((70..=100).contains(&latency), "{latency}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_failure_does_not_make_an_endpoint_look_fast_and_a_hung_call_makes_it_slow() {
        let meter = Meter::new(1);
        let mut flight = meter.start();
        advance(Duration::from_millis(100)).await;
        flight.answered();
        drop(flight);
        drop(meter.start());
        assert_eq!(meter.latency().as_millis(), 100);
        let hung = meter.start();
        advance(Duration::from_secs(2)).await;
        drop(hung);
        assert_eq!(meter.latency().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_cost_grows_with_latency_and_with_calls_in_flight() {
        let (slow, fast) = (Meter::new(1), Meter::new(1));
        let mut flight = slow.start();
        advance(Duration::from_millis(50)).await;
        flight.answered();
        drop(flight);
        assert!(fast.cost() < slow.cost());
        let _busy: Vec<_> = (0..1000).map(|_| fast.start()).collect();
        assert!(slow.cost() < fast.cost());
    }
}
