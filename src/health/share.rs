use crate::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long an endpoint that came back takes to get all of its calls again.
const WARM_UP: Duration = Duration::from_secs(10);
/// What it gets at first: enough to show soon whether it works.
const FIRST: f32 = 0.1;
/// Turns that it takes in each second whatever its share: so few are no load, and where calls are rare its replicas
/// alternate at once.
const FREE_TURNS: u32 = 20;

/// Since when an endpoint has been back, in a word that calls read without a lock.
#[derive(Debug)]
pub(super) struct Share {
    base: Instant,
    /// Milliseconds since `base`, and one; 0 once the time is over.
    back: AtomicU64,
    /// The free turns taken in the latest second, below, and that second since `base`, above.
    free: AtomicU64,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), back: AtomicU64::new(0), free: AtomicU64::new(0) }
    }

    /// The endpoint is back.
    pub(super) fn begin(&self) {
        self.begin_at(self.now());
    }

    fn begin_at(&self, now: u64) {
        // An exchange like that of whoever ends the last return, so that one of the two is the later.
        self.back.swap(now, Ordering::Relaxed);
    }

    /// From 0.1 to 1.
    pub(super) fn get(&self) -> f32 {
        self.get_at(|| self.now())
    }

    fn get_at(&self, now: impl Fn() -> u64) -> f32 {
        let back = self.back.load(Ordering::Relaxed);
        if back == 0 {
            return 1.0;
        }
        let since = Duration::from_millis(now().saturating_sub(back));
        if since >= WARM_UP {
            // Unless it came back anew meanwhile. The clock is not read any more from then on.
            let _ = self.back.compare_exchange(back, 0, Ordering::Relaxed, Ordering::Relaxed);
            return 1.0;
        }
        (since.as_secs_f32() / WARM_UP.as_secs_f32()).max(FIRST)
    }

    /// Whether the endpoint may be picked for one more call.
    pub(super) fn takes_turn(&self) -> bool {
        let share = self.get();
        share >= 1.0 || self.takes_free_turn() || fastrand::f32() < share
    }

    fn takes_free_turn(&self) -> bool {
        self.takes_free_turn_at(self.now())
    }

    fn takes_free_turn_at(&self, now: u64) -> bool {
        let second = (now / 1000) << 32;
        let count = |free: u64| {
            let taken = if free & !u64::from(u32::MAX) == second { free } else { second };
            (taken - second < u64::from(FREE_TURNS)).then_some(taken + 1)
        };
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

/// Whether an endpoint serves, and whether it did before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Warmth {
    #[default]
    New,
    Serving,
    Away,
}

impl Warmth {
    /// Takes in whether it serves; tells whether that means that it has come back.
    pub(super) fn is_back(&mut self, serves: bool) -> bool {
        let (next, back) = match (*self, serves) {
            (Self::New, false) => (Self::New, false),
            (Self::New | Self::Serving, true) => (Self::Serving, false),
            (Self::Away, true) => (Self::Serving, true),
            (Self::Serving | Self::Away, false) => (Self::Away, false),
        };
        *self = next;
        back
    }
}

#[cfg(all(test, interleave))]
mod interleaved {
    use super::*;
    use loom::{sync::Arc, thread};

    fn now_and_later(share: &Arc<Share>, other: impl FnOnce(&Share) + Send + 'static) -> thread::JoinHandle<()> {
        let share = share.clone();
        thread::spawn(move || other(&share))
    }

    #[test]
    fn a_return_is_never_lost_to_one_who_sees_the_last_one_end() {
        loom::model(|| {
            let share = Arc::new(Share::new());
            let end = WARM_UP.as_millis() as u64 + 1;
            share.begin_at(1);
            let seen = now_and_later(&share, move |share| drop(share.get_at(|| end)));
            share.begin_at(end);
            seen.join().unwrap();
            assert!(share.get_at(|| end) < 0.2, "it came back just now");
        });
    }

    #[test]
    fn free_turns_are_given_once_each() {
        loom::model(|| {
            let share = Arc::new(Share::new());
            // One is left of this second.
            share.free.store((7 << 32) + u64::from(FREE_TURNS) - 1, Ordering::Relaxed);
            let (taken, other) = (Arc::new(crate::atomic::AtomicUsize::new(0)), share.clone());
            let theirs = taken.clone();
            let turn = now_and_later(&other, move |share| {
                theirs.fetch_add(share.takes_free_turn_at(7000).into(), Ordering::Relaxed);
            });
            taken.fetch_add(share.takes_free_turn_at(7000).into(), Ordering::Relaxed);
            turn.join().unwrap();
            assert_eq!(taken.load(Ordering::Relaxed), 1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn the_share_grows_from_a_tenth_to_all_in_ten_seconds() {
        let share = Share::new();
        assert_eq!(share.get(), 1.0, "one that was never away");
        share.begin();
        for (seconds, expected) in [(0, 0.1), (1, 0.1), (4, 0.5), (4, 0.9), (1, 1.0), (9, 1.0)] {
            advance(Duration::from_secs(seconds)).await;
            assert!((share.get() - expected).abs() < 0.01, "{}", share.get());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_turns_a_second_are_free() {
        let share = Share::new();
        share.begin();
        for _ in 0..3 {
            let free = (0..100).filter(|_| share.takes_free_turn()).count();
            assert_eq!(free, 20);
            advance(Duration::from_secs(1)).await;
        }
    }

    #[test]
    fn only_one_that_served_before_comes_back() {
        let mut warmth = Warmth::default();
        let told = [false, true, true, false, false, true, true].map(|serves| warmth.is_back(serves));
        assert_eq!(told, [false, false, false, false, false, true, false]);
    }
}
