use crate::{
    atomic::{AtomicU64, Ordering},
    clock,
};
use std::time::Duration;
use tokio::time::Instant;

/// After this long without a call, a remembered latency has faded to a third.
const DECAY: Duration = Duration::from_secs(10);

/// A peak-sensitive moving average of latencies: it jumps up to a slow one at once and comes down slowly.
///
/// Value and time share one word, so a reader never sees one without the other and nobody waits: microseconds as `f32`
/// in the upper half, milliseconds since `base` in the lower. The clock wraps after 49 days without a call, where at
/// worst a faded value is taken for fresh once.
#[derive(Debug)]
pub(super) struct Ewma {
    base: Instant,
    state: AtomicU64,
}

impl Ewma {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), state: AtomicU64::new(0) }
    }

    /// Takes into account how long it took from `started` to now.
    pub(super) fn record(&self, started: Instant) {
        let (now, sample) = self.since(started);
        self.update_at(
            now,
            |average, weight| {
                if sample > average { sample } else { average * weight + sample * (1.0 - weight) }
            },
        );
    }

    /// Takes into account that an answer takes at least as long as from `started` to now.
    pub(super) fn record_at_least(&self, started: Instant) {
        let (now, sample) = self.since(started);
        self.update_at(now, |average, weight| sample.max(average * weight));
    }

    /// The average, in microseconds, faded by the time since the last call; 0 before the first.
    pub(super) fn micros(&self) -> f32 {
        let (average, stamp) = unpack(self.state.load(Ordering::Relaxed));
        average * fade(self.at(clock::now()), stamp)
    }

    /// The time of now, and the microseconds since `started`: the clock is read once.
    fn since(&self, started: Instant) -> (u32, f32) {
        let now = clock::now();
        (self.at(now), micros(now.duration_since(started)))
    }

    fn update_at(&self, now: u32, edit: impl Fn(f32, f32) -> f32) {
        let updated = |state| {
            let (average, stamp) = unpack(state);
            Some(pack(edit(average, fade(now, stamp)), now))
        };
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, updated);
    }

    fn at(&self, now: Instant) -> u32 {
        now.duration_since(self.base).as_millis() as u32
    }
}

fn micros(latency: Duration) -> f32 {
    latency.as_secs_f32() * 1e6
}

fn fade(now: u32, stamp: u32) -> f32 {
    let elapsed = now.wrapping_sub(stamp);
    // Another thread's stamp may be a little ahead of the `now` read before it.
    let elapsed = if elapsed > u32::MAX / 2 { 0 } else { elapsed };
    (-(elapsed as f32) / DECAY.as_millis() as f32).exp()
}

fn pack(average: f32, stamp: u32) -> u64 {
    u64::from(average.to_bits()) << 32 | u64::from(stamp)
}

fn unpack(state: u64) -> (f32, u32) {
    (f32::from_bits((state >> 32) as u32), state as u32)
}

#[cfg(all(test, interleave))]
mod interleaved {
    use super::*;
    use loom::{sync::Arc, thread};

    #[test]
    fn no_peak_is_lost_and_no_value_is_seen_with_the_time_of_another() {
        loom::model(|| {
            let ewma = Arc::new(Ewma::new());
            let other = ewma.clone();
            let peak = thread::spawn(move || other.update_at(5, |average, weight| 900f32.max(average * weight)));
            ewma.update_at(5, |average, weight| 100f32.max(average * weight));
            let seen = unpack(ewma.state.load(Ordering::Relaxed));
            assert!(seen == (100.0, 5) || seen == (900.0, 5), "{seen:?}");
            peak.join().unwrap();
            assert_eq!(unpack(ewma.state.load(Ordering::Relaxed)), (900.0, 5));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ago(ms: u64) -> Instant {
        let then = Instant::now();
        tokio::time::advance(Duration::from_millis(ms)).await;
        then
    }

    #[tokio::test(start_paused = true)]
    async fn it_jumps_up_comes_down_slowly_and_fades_when_idle() {
        let ewma = Ewma::new();
        assert_eq!(ewma.micros(), 0.0);
        ewma.record(ago(100).await);
        assert_eq!(ewma.micros(), 100_000.0);
        tokio::time::advance(Duration::from_secs(1)).await;
        ewma.record(ago(1).await);
        assert!((85_000.0..95_000.0).contains(&ewma.micros()), "{}", ewma.micros());
        tokio::time::advance(DECAY * 3).await;
        assert!(ewma.micros() < 5_000.0);
        ewma.record(ago(300).await);
        assert_eq!(ewma.micros(), 300_000.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_bound_never_lowers_it() {
        let ewma = Ewma::new();
        ewma.record(ago(100).await);
        ewma.record_at_least(Instant::now());
        assert_eq!(ewma.micros(), 100_000.0);
        ewma.record_at_least(ago(200).await);
        assert_eq!(ewma.micros(), 200_000.0);
    }
}
