use crate::Method;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What is counted of one server; clones are the same.
///
/// It is made with the server and goes with it. A call adds to at most five numbers that are found without a look-up.
///
/// [`ObserveLayer::calls`](crate::health::observe::ObserveLayer::calls) has calls counted here; [`Outcome`] shows it at work.
#[derive(Clone, Default)]
pub struct Calls(Arc<Inner>);

#[derive(Default)]
struct Inner {
    outcomes: [[AtomicU64; Outcome::ALL.len()]; METHODS.len()],
    durations: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    starts: AtomicU64,
    changes: AtomicU64,
}

/// How a call of a server ended.
///
/// A server that answers is well, whatever it says; so what a tool itself calls an error counts as a result:
///
/// ```
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::{Json, Params}, reply};
/// use tower_mcp_gateway::{health::{Board, observe::ObserveLayer}, metrics::{Calls, Outcome}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let calls = Calls::default();
/// let observe = ObserveLayer::new(Board::default().endpoint(&"search-1".into())).calls(calls.clone());
/// let failing = reply::Outcome::Result(Json::from_static(r#"{"content":[],"isError":true}"#));
/// let server = observe.layer(service_fn(move |_: Call| {
///     let failing = failing.clone();
///     async { Ok::<_, BoxError>(Reply::single(failing)) }
/// }));
/// let _ = server.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await?;
/// assert_eq!((calls.total(Outcome::Result), calls.total(Outcome::Error)), (1, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// With a result, one that `isError` included: the server says what that means.
    Result,
    /// With a JSON-RPC error of the server.
    Error,
    /// Without an answer of the server.
    Failed,
    /// Without an answer of the server in the time it had.
    TimedOut,
    /// Given up by the client.
    Cancelled,
    /// Not sent: the server had its fill, or its breaker was open.
    Refused,
}

impl Outcome {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Outcome; 6] =
        [Outcome::Result, Outcome::Error, Outcome::Failed, Outcome::TimedOut, Outcome::Cancelled, Outcome::Refused];

    /// The value of the label.
    pub const fn label(self) -> &'static str {
        match self {
            Outcome::Result => "result",
            Outcome::Error => "error",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed_out",
            Outcome::Cancelled => "cancelled",
            Outcome::Refused => "refused",
        }
    }
}

/// The methods that are told apart; a client can make up others without end, which are one.
const METHODS: [&str; 6] =
    ["tools/call", "resources/read", "prompts/get", "completion/complete", "subscriptions/listen", "other"];

/// Upper bounds of the classes of durations: 1, 2.5, 5 in each power of ten from 1 ms to 10 s, then the longest
/// default timeouts.
const BOUNDS: [Duration; 15] = [
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(300),
];

/// The place of a method among those that are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind(u8);

impl Kind {
    pub(crate) fn of(method: &Method) -> Self {
        let other = METHODS.len() - 1;
        let place = METHODS[..other].iter().position(|known| *known == method.as_str()).unwrap_or(other);
        Self(place as u8)
    }
}

impl Calls {
    pub(crate) fn ended(&self, kind: Kind, outcome: Outcome, took: Duration) {
        self.0.outcomes[usize::from(kind.0)][outcome as usize].fetch_add(1, Ordering::Relaxed);
        // What was not sent would make a server look fast.
        if outcome != Outcome::Refused {
            let class = BOUNDS.partition_point(|bound| *bound < took);
            self.0.durations[class].fetch_add(1, Ordering::Relaxed);
            self.0.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Counts a start of the server's process.
    pub fn started(&self) {
        self.0.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the server's process was started.
    pub fn starts(&self) -> u64 {
        self.0.starts.load(Ordering::Relaxed)
    }

    pub(crate) fn changed(&self, tools: usize) {
        self.0.changes.fetch_add(tools as u64, Ordering::Relaxed);
    }

    /// How often a tool of the server was found to be something else than what is pinned.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// How many calls of any method ended so.
    pub fn total(&self, outcome: Outcome) -> u64 {
        self.0.outcomes.iter().map(|outcomes| outcomes[outcome as usize].load(Ordering::Relaxed)).sum()
    }

    /// How often each method ended how; what never happened is left out.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, Outcome, u64)> {
        let of = |(method, outcomes): (&'static str, &[AtomicU64; 6])| {
            Outcome::ALL.map(|outcome| (method, outcome, outcomes[outcome as usize].load(Ordering::Relaxed)))
        };
        METHODS.into_iter().zip(&self.0.outcomes).flat_map(of).filter(|(.., count)| *count > 0)
    }

    /// The time in all, and how many calls took at most so long; the last class has no bound.
    pub fn durations(&self) -> (Duration, impl Iterator<Item = (Option<Duration>, u64)>) {
        let bounds = BOUNDS.into_iter().map(Some).chain([None]);
        let classes = self.0.durations.iter().map(|count| count.load(Ordering::Relaxed));
        (Duration::from_micros(self.0.micros.load(Ordering::Relaxed)), bounds.zip(classes))
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.outcomes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_class_of_its_duration_and_under_its_method() {
        let calls = Calls::default();
        calls.ended(Kind::of(&Method::TOOLS_CALL), Outcome::Result, Duration::from_millis(1));
        calls.ended(Kind::of(&Method::TOOLS_CALL), Outcome::Result, Duration::from_micros(1001));
        calls.ended(Kind::of(&Method::new("made/up")), Outcome::Failed, Duration::from_secs(301));
        calls.ended(Kind::of(&Method::PROMPTS_GET), Outcome::Refused, Duration::ZERO);
        let outcomes: Vec<_> = calls.outcomes().collect();
        let result = ("tools/call", Outcome::Result, 2);
        assert_eq!(outcomes, [result, ("prompts/get", Outcome::Refused, 1), ("other", Outcome::Failed, 1)]);
        let (sum, classes) = calls.durations();
        let classes: Vec<_> = classes.filter(|(_, count)| *count > 0).collect();
        let second = Some(Duration::from_micros(2_500));
        assert_eq!(classes, [(Some(Duration::from_millis(1)), 1), (second, 1), (None, 1)]);
        assert_eq!(sum, Duration::from_micros(301_002_001));
    }
}
