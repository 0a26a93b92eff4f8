use super::{HealthCheck, Verdict, Vital, reason::reason};
use crate::{BoxError, Call, Method, Reply, error::find, json::Params};
use std::{
    future::poll_fn,
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::{Service, load_shed::error::Overloaded};

/// The first pause after a failed probe; doubled for each further one.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// The longest pause after a failed probe, so that a recovery is seen within five seconds.
const RETRY_LONGEST: Duration = Duration::from_secs(4);
/// How long an answer may take, unless set: as long as the interval, within these bounds. However often a server is
/// asked, one that is merely busy for a moment is not taken out for it.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// Intervals outside are brought inside: more often would be load, and more seldom is never.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60 * 60 * 24));

/// Asks one endpoint again and again whether it is there.
///
/// The first question goes out at once, the next ones an interval (±10 %) after the answer, or soon and then less and
/// less often while it fails. Any answer, also a JSON-RPC error, means that it is there. Give it a service *below* the
/// endpoint's limit, so that a full endpoint is not taken for a dead one.
///
/// It also keeps the time of the endpoint's breaker: run one for each endpoint that is observed.
///
/// ```
/// use tower_mcp_gateway::{BoxError, Call, Reply, health::{Board, Probe, Verdict}, reply::Outcome};
/// use std::time::Duration;
/// use tower::service_fn;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let board = Board::default();
/// let server = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
/// let probe = Probe::new(server, board.endpoint(&"search-1".into()), Duration::from_secs(15));
/// let running = tokio::spawn(probe.run());
///
/// board.subscribe().wait_for(|verdicts| verdicts.is_well("search-1")).await.unwrap();
/// board.forget(&"search-1".into());
/// running.await.unwrap();
/// # }
/// ```
#[derive(Debug)]
pub struct Probe<S> {
    service: S,
    vital: Vital,
    interval: Duration,
    timeout: Duration,
    first: Duration,
    /// Why the last one failed, if it did.
    fault: Option<Box<str>>,
}

/// What became of one question.
enum Asked {
    Answered,
    Failed(Box<str>),
    NotSent,
}

impl<S> Probe<S> {
    /// Asks `service` every `interval` (50 ms to a day), and waits for each answer as long, but 1 s at least and 5 s at
    /// most.
    pub fn new(service: S, vital: Vital, interval: Duration) -> Self {
        let interval = interval.clamp(INTERVALS.0, INTERVALS.1);
        Self {
            service,
            vital,
            interval,
            timeout: interval.clamp(TIMEOUTS.0, TIMEOUTS.1),
            first: Duration::ZERO,
            fault: None,
        }
    }

    /// Waits for each answer this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(INTERVALS.1);
        self
    }

    /// Waits for the first answer of all this long, if that is longer than for the others: a server that has to be
    /// downloaded before it runs is not ill meanwhile, whatever the one before it was.
    #[must_use]
    pub fn first_timeout(mut self, timeout: Duration) -> Self {
        self.first = timeout.min(INTERVALS.1);
        self
    }
}

impl<S> Probe<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    /// Runs until the board forgets the endpoint; a question that is out is then cancelled.
    pub async fn run(self) {
        let vital = self.vital.clone();
        tokio::select! {
            biased;
            () = vital.forgotten() => {}
            () = self.ask_on() => {}
        }
    }

    async fn ask_on(mut self) {
        let (mut failures, mut is_first) = (0, true);
        loop {
            let (epoch, started) = (self.vital.epoch(), Instant::now());
            let asked = self.ask(started, self.patience(is_first)).await;
            let error = match asked {
                Asked::NotSent => {
                    // Most of the time was spent waiting for readiness: no reason to wait long again.
                    self.rest(RETRY_FIRST).await;
                    continue;
                }
                Asked::Answered => None,
                Asked::Failed(error) => Some(error),
            };
            is_first = false;
            failures = if error.is_none() { 0 } else { failures + 1 };
            self.record(error, started, epoch);
            self.rest(self.pause(failures)).await;
        }
    }

    /// How long this answer may take.
    fn patience(&self, is_first: bool) -> Duration {
        if is_first { self.timeout.max(self.first) } else { self.timeout }
    }

    async fn ask(&mut self, started: Instant, patience: Duration) -> Asked {
        let service = &mut self.service;
        match timeout_at(started + patience, poll_fn(|cx| service.poll_ready(cx))).await {
            // The service keeps what it has reserved so far for the next question.
            Err(_) => return Asked::NotSent,
            Ok(Err(error)) => return failed(&*error.into()),
            Ok(Ok(())) => {}
        }
        // However long it waited to be asked, the server has all the time to answer.
        let deadline = Instant::now() + patience;
        let answer = service.call(Call::new(Method::PING, Params::empty()));
        let outcome = async { answer.await.map_err(Into::into)?.outcome().await };
        match timeout_at(deadline, outcome).await {
            Ok(Ok(_)) => Asked::Answered,
            Ok(Err(error)) => failed(&*error),
            Err(_) => Asked::Failed(format!("no answer within {} ms", patience.as_millis()).into()),
        }
    }

    fn record(&mut self, error: Option<Box<str>>, started: Instant, epoch: u64) {
        let server_id = self.vital.id().clone();
        match &error {
            // A reason is told once; that it still holds is no news.
            Some(error) if self.fault.as_ref() == Some(error) => {
                tracing::debug!(server = %server_id, %error, "the health check failed again");
            }
            Some(error) => tracing::warn!(server = %server_id, %error, "the health check failed"),
            None if self.fault.is_some() => tracing::info!(server = %server_id, "the health check succeeded again"),
            None => {}
        }
        self.fault.clone_from(&error);
        let (healthy, latency, checked_at) = (error.is_none(), started.elapsed(), SystemTime::now());
        self.vital.checked(HealthCheck { server_id, healthy, latency, error, checked_at }, epoch);
    }

    fn pause(&self, failures: u32) -> Duration {
        match failures {
            // Answered, but once is not enough: the next answer is asked for soon, or `rise` checks would take `rise`
            // intervals.
            0 if matches!(self.vital.verdict(), Verdict::Ill(_)) => RETRY_FIRST.min(self.interval),
            0 => self.interval,
            n => RETRY_FIRST.saturating_mul(1 << (n - 1).min(16)).min(RETRY_LONGEST).min(self.interval),
        }
    }

    /// Waits for the next question: `pause` ±10 %, or less if someone wants to know.
    async fn rest(&self, pause: Duration) {
        let next = Instant::now() + jittered(pause);
        loop {
            let tick = self.vital.half_opens_at();
            tokio::select! {
                () = self.vital.woken() => return,
                () = sleep_until(tick.map_or(next, |tick| tick.min(next))) => {
                    self.vital.tick();
                    if Instant::now() >= next {
                        return;
                    }
                }
            }
        }
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Asked {
    match find::<Overloaded>(error) {
        Some(_) => Asked::NotSent,
        None => Asked::Failed(reason(error)),
    }
}

/// A duration give or take a tenth, so that what starts together does not stay in step.
pub(super) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + 0.2 * fastrand::f64())
}
