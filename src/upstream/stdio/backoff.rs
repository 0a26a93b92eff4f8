use std::time::Duration;

/// Before the second start. Doubling from here, four restarts take 3.75 s: never more than five starts in 4 s.
const FIRST: Duration = Duration::from_millis(250);
/// The longest rest, so that a child is back within 5 s of a crash, jitter and start included.
const LONGEST: Duration = Duration::from_secs(4);
/// A child that lived this long was well: its crash is the first one again.
const CALM: Duration = Duration::from_secs(10);
/// Jitter only lengthens, because it must not add a start to the 4 s.
const JITTER: f64 = 0.1;

/// How long to rest between a crash and the next start.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// Takes note of how long the child lived, and says how long to rest.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= CALM {
            self.crashes = 0;
        }
        let rest = FIRST.saturating_mul(1 << self.crashes.min(16)).min(LONGEST);
        self.crashes = self.crashes.saturating_add(1);
        rest.mul_f64(1.0 + JITTER * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_five_starts_in_four_seconds(lives in prop::collection::vec(0u64..15_000, 1..60)) {
            let mut backoff = Backoff::default();
            let (mut now, mut starts) = (Duration::ZERO, vec![Duration::ZERO]);
            for life in lives.into_iter().map(Duration::from_millis) {
                let rest = backoff.after(life);
                prop_assert!(rest < Duration::from_millis(4_500));
                now += life + rest;
                starts.push(now);
            }
            for window in starts.windows(6) {
                prop_assert!(window[5] - window[0] > Duration::from_secs(4), "{window:?}");
            }
        }
    }

    #[test]
    fn a_long_life_begins_the_row_anew() {
        let mut backoff = Backoff::default();
        let short: Vec<_> = (0..8).map(|_| backoff.after(Duration::ZERO)).collect();
        assert!(short[0] < Duration::from_millis(300) && short[7] >= LONGEST, "{short:?}");
        assert!(backoff.after(CALM) < Duration::from_millis(300));
    }
}
