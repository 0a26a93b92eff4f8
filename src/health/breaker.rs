use super::{
    peers::{Out, Peers},
    probe::jittered,
};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that open the breaker.
pub(super) const FAILURES: u32 = 5;
/// How long it stays open first; doubled for each trial that fails.
const FIRST: Duration = Duration::from_secs(1);
/// How long it stays open at most.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether calls that fail for other reasons than their connection still go to an endpoint.
///
/// ```text
/// Closed ── 5 failures in a row ─▶ Open ── time ─▶ HalfOpen { trial: false } ── a call ─▶ HalfOpen { trial: true }
///   ▲                               ▲                        ▲                               │    │    │
///   └───────────── answered ────────┼────────────────────────┼───────────────────────────────┘    │    │
///                                   │                        └──────────── cancelled ─────────────┘    │
///                                   └────────────────────────────── failed ────────────────────────────┘
/// ```
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    failures: u32,
    // Times it opened since it was last closed.
    openings: u32,
    // Some while it is not closed and its endpoint answers its probes.
    out: Option<Out>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { trial: bool },
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: State::Closed, failures: 0, openings: 0, out: None }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether the endpoint may be in its pool.
    pub(super) fn is_visible(&self) -> bool {
        !matches!(self.state, State::Open { .. })
    }

    /// Whether a call would be admitted without looking at the clock.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, State::Closed | State::HalfOpen { trial: false })
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// When an open breaker half-opens.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Half-opens once it is time.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.until().is_some_and(|until| now >= until) {
            self.state = State::HalfOpen { trial: false };
        }
    }

    /// Takes in a call: `Some(trial)`, or none if it must not go there.
    pub(super) fn admit(&mut self) -> Option<bool> {
        match self.state {
            State::Closed => Some(false),
            State::HalfOpen { trial: false } => {
                self.state = State::HalfOpen { trial: true };
                Some(true)
            }
            State::HalfOpen { trial: true } | State::Open { .. } => None,
        }
    }

    /// The trial was answered.
    pub(super) fn close(&mut self) {
        *self = Self::new();
    }

    /// The endpoint answers its probes: it counts as taken out if it is, and is let in where too many are out already.
    pub(super) fn come(&mut self, peers: &Peers) {
        if self.is_closed() || self.out.is_some() {
            return;
        }
        self.out = peers.out();
        if self.out.is_none() {
            self.close();
        }
    }

    /// The endpoint does not answer its probes: nobody goes there, so that its peers may be taken out.
    pub(super) fn leave(&mut self) {
        self.out = None;
        self.release();
    }

    /// The trial ended without telling anything.
    pub(super) fn release(&mut self) {
        if self.state == (State::HalfOpen { trial: true }) {
            self.state = State::HalfOpen { trial: false };
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A call failed; tells whether that opened the breaker, which its peers must allow.
    pub(super) fn failed(&mut self, now: Instant, peers: &Peers) -> bool {
        self.failures = self.failures.saturating_add(1);
        let due = match self.state {
            State::Closed => self.failures >= FAILURES,
            State::HalfOpen { trial } => trial,
            State::Open { .. } => false,
        };
        if due && self.out.is_none() {
            self.out = peers.out();
        }
        let opens = due && self.out.is_some();
        if opens {
            let pause = FIRST.saturating_mul(1 << self.openings.min(16)).min(LONGEST);
            self.openings = self.openings.saturating_add(1);
            self.state = State::Open { until: now + jittered(pause) };
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Call,
        /// How the oldest call that is out ends.
        Answer,
        Fail,
        Give,
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Call),
            2 => Just(Step::Answer),
            4 => Just(Step::Fail),
            1 => Just(Step::Give),
            2 => (0u64..40_000).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// As `Vital` drives it: what a call tells counts only if nothing has opened since it was let in.
        #[test]
        fn one_trial_at_a_time_and_no_call_while_it_is_open(steps in prop::collection::vec(step(), 1..200)) {
            let (mut breaker, peers) = (Breaker::new(), Peers::default());
            let (mut now, mut epoch, mut out) = (Instant::now(), 0, Vec::<(u32, bool)>::new());
            let mut failures_in_a_row = 0;
            for step in steps {
                match step {
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                    Step::Call => {
                        breaker.tick(now);
                        let early = breaker.until();
                        match breaker.admit() {
                            Some(trial) => {
                                prop_assert!(early.is_none(), "a call was let in while it was open");
                                let trials = out.iter().filter(|(of, is)| *is && *of == epoch).count();
                                prop_assert!(!trial || trials == 0, "two trials at once");
                                out.push((epoch, trial));
                            }
                            None => prop_assert!(!breaker.is_closed(), "closed, and a call was refused"),
                        }
                    }
                    Step::Answer | Step::Fail | Step::Give if out.is_empty() => {}
                    Step::Answer => {
                        let (of, trial) = out.remove(0);
                        if of == epoch {
                            if trial {
                                breaker.close();
                            }
                            breaker.succeeded();
                            failures_in_a_row = 0;
                        }
                    }
                    Step::Give => {
                        let (of, trial) = out.remove(0);
                        if of == epoch && trial {
                            breaker.release();
                        }
                    }
                    Step::Fail => {
                        let (of, trial) = out.remove(0);
                        if of == epoch {
                            failures_in_a_row += 1;
                            let opened = breaker.failed(now, &peers);
                            prop_assert_eq!(opened, trial || failures_in_a_row >= FAILURES);
                            if opened {
                                epoch += 1;
                                failures_in_a_row = 0;
                                let pause = breaker.until().unwrap() - now;
                                prop_assert!(pause >= FIRST.mul_f64(0.9) && pause <= LONGEST.mul_f64(1.1), "{:?}", pause);
                                breaker.tick(now + LONGEST.mul_f64(0.89).min(pause.mul_f64(0.9)));
                                prop_assert!(!breaker.is_visible(), "half-open before its time");
                            }
                        }
                    }
                }
            }
        }

        /// Whatever breakers open and close, at most half of those that are up are out, and one in a small pool.
        #[test]
        fn never_more_than_half_of_a_pool_is_out(
            up in 0usize..20,
            steps in prop::collection::vec((0usize..20, any::<bool>()), 1..200),
        ) {
            let peers = Peers::default();
            let _up: Vec<_> = (0..up).map(|_| peers.up()).collect();
            let mut breakers: Vec<_> = (0..up.max(1)).map(|_| Breaker::new()).collect();
            let now = Instant::now();
            for (at, fails) in steps {
                let at = at % breakers.len();
                if fails {
                    breakers[at].failed(now, &peers);
                } else {
                    breakers[at].close();
                }
                let out = breakers.iter().filter(|breaker| !breaker.is_visible()).count();
                prop_assert!(out <= (up / 2).max(1), "{} of {}", out, up);
            }
        }
    }

    #[test]
    fn one_that_is_down_leaves_room_for_the_breakers_of_the_others() {
        let peers = Peers::default();
        let (up, _other) = (peers.up(), peers.up());
        let (mut first, mut second) = (Breaker::new(), Breaker::new());
        let fails = |breaker: &mut Breaker| (0..FAILURES).any(|_| breaker.failed(Instant::now(), &peers));
        assert!(fails(&mut first) && !fails(&mut second), "half of them");
        drop(up);
        first.leave();
        assert!(second.failed(Instant::now(), &peers), "the other is no help any more");
        let _up = peers.up();
        first.come(&peers);
        assert!(first.is_closed(), "back, and in for the one that is out");
    }
}
