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
    // Some from its first opening until it is closed.
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
