use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// New connections in the first second after a server has come back. What waited for it would otherwise connect all at
/// once, and a server that has just begun is at its slowest.
const FIRST: u32 = 20;
/// How long that holds.
const RISE: Duration = Duration::from_secs(1);

/// Holds new connections back while a server that could not be reached comes up again.
#[derive(Debug, Default)]
pub(super) struct Ramp(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Steady,
    /// The last attempt failed.
    Down,
    Rising {
        since: Instant,
        begun: u32,
    },
}

impl Ramp {
    /// Waits until one more connection may be made: not at all, but for the second after a recovery.
    pub(super) async fn admit(&self) {
        while let Some(later) = self.later() {
            sleep_until(later).await;
        }
    }

    /// Counts a connection that may be made, or says when to ask again.
    fn later(&self) -> Option<Instant> {
        let mut state = self.state();
        if let State::Rising { since, begun } = &mut *state {
            let end = *since + RISE;
            if Instant::now() >= end {
                *state = State::Steady;
            } else if *begun < FIRST {
                *begun += 1;
            } else {
                return Some(end);
            }
        }
        None
    }

    /// An attempt led to a connection.
    pub(super) fn connected(&self) {
        let mut state = self.state();
        if let State::Down = *state {
            *state = State::Rising { since: Instant::now(), begun: 1 };
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&self) {
        *self.state() = State::Down;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test(start_paused = true)]
    async fn twenty_connections_are_made_in_the_first_second_after_a_recovery() {
        let ramp = Ramp::default();
        ramp.failed();
        ramp.admit().await;
        ramp.connected();
        let back = Instant::now();
        let waits = join_all((0..200).map(|_| async {
            ramp.admit().await;
            back.elapsed()
        }))
        .await;
        let at_once = waits.iter().filter(|wait| **wait < RISE).count();
        assert_eq!(at_once + 1, 20, "the first one counts");
        assert!(waits.iter().all(|wait| *wait <= RISE + Duration::from_millis(1)), "and the others right after");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_was_never_away_is_connected_to_at_will() {
        let (ramp, begun) = (Ramp::default(), Instant::now());
        for _ in 0..1000 {
            ramp.admit().await;
            ramp.connected();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_and_gives_up_takes_no_place() {
        let ramp = Ramp::default();
        ramp.failed();
        ramp.connected();
        for _ in 1..FIRST {
            ramp.admit().await;
        }
        let waited = tokio::time::timeout(RISE / 2, ramp.admit()).await;
        assert!(waited.is_err());
        ramp.admit().await;
    }
}
