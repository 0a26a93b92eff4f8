use std::time::Duration;

/// How long to wait before a lost connection is tried again: doubling, capped, and never twice the same, so that the
/// gateways of a fleet do not come back in step.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) const FIRST: Duration = Duration::from_millis(100);
    /// With the jitter and a connection attempt on top, a server that is well again is found within 5 s however long
    /// it was away.
    const LONGEST: Duration = Duration::from_secs(2);

    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = Self::FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        doubled.min(Self::LONGEST).mul_f64(0.8 + 0.4 * fastrand::f64())
    }

    /// Begins anew after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However successes and failures follow each other, no wait is so short that attempts become a storm, nor so long
        /// that a recovery goes unseen for 5 s.
        #[test]
        fn every_wait_is_within_its_bounds(steps in prop::collection::vec(any::<bool>(), 1..300)) {
            let (mut backoff, mut row) = (Backoff::default(), 0u32);
            for fails in steps {
                if fails {
                    let wait = backoff.next();
                    let due = Backoff::FIRST.saturating_mul(1 << row.min(10)).min(Backoff::LONGEST);
                    prop_assert!(wait >= due.mul_f64(0.79) && wait <= due.mul_f64(1.21), "{:?} after {} failures", wait, row);
                    row += 1;
                } else {
                    backoff.reset();
                    row = 0;
                }
            }
        }
    }

    #[test]
    fn waits_grow_to_a_cap_and_begin_anew() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() <= Duration::from_millis(120));
        for _ in 0..100 {
            assert!(backoff.next() <= Duration::from_millis(2400));
        }
        assert!(backoff.next() >= Duration::from_millis(1600));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(120));
    }
}
