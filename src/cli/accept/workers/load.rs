use std::{
    cmp::Ordering,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    time::Instant,
};

/// How long a thread is watched before its load is told: longer than a burst of calls, shorter than anybody notices.
pub(super) const WINDOW: Duration = Duration::from_millis(50);

/// The share of its time above which a thread has too much to do, while others have less.
const BUSY: f32 = 0.8;
/// Up to which share one thread does the work of two. So far below [`BUSY`] that what was brought together is not parted at once:
/// calls then wait for one another for less time than a thread takes to wake up.
const QUIET: f32 = 0.4;
/// By how much a move must lighten the busier of two threads to be worth it.
const GAIN: f32 = 0.1;

/// How busy a thread is.
pub(super) struct Load {
    metrics: RuntimeMetrics,
    window: Mutex<Window>,
}

/// A time in which a thread is watched.
#[derive(Debug)]
struct Window {
    begun: Instant,
    /// How long the thread had been busy by then.
    busy: Duration,
    /// The connections that have had an answer in it, as each looks once.
    connections: u32,
    /// What the window before says, with the moves since.
    share: Share,
}

/// What a thread has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    /// The part of its time that it is busy.
    load: f32,
    /// The connections that make it so.
    connections: u32,
}

impl Load {
    pub(super) fn new(runtime: &Handle) -> Self {
        Self { metrics: runtime.metrics(), window: Mutex::new(Window::new(Instant::now())) }
    }

    /// Counts a connection that had an answer.
    pub(super) fn count(&self, now: Instant) -> Share {
        self.with(now, |window| {
            window.connections += 1;
            window.share
        })
    }

    pub(super) fn share(&self, now: Instant) -> Share {
        self.with(now, |window| window.share)
    }

    /// Foretells what a connection that comes, or with less than nothing goes, will make of it.
    pub(super) fn add(&self, part: f32, now: Instant) {
        self.with(now, |window| window.share.load = (window.share.load + part).max(0.0));
    }

    fn with<T>(&self, now: Instant, look: impl FnOnce(&mut Window) -> T) -> T {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.turn(now, self.busy());
        look(&mut window)
    }

    /// How long the thread has been busy since it began, as far as that can be counted here.
    fn busy(&self) -> Duration {
        #[cfg(target_has_atomic = "64")]
        return self.metrics.worker_total_busy_duration(0);
        #[cfg(not(target_has_atomic = "64"))]
        return Duration::ZERO;
    }
}

impl Window {
    fn new(begun: Instant) -> Self {
        Self { begun, busy: Duration::ZERO, connections: 0, share: Share::default() }
    }

    /// Begins the next one when this has lasted long enough.
    fn turn(&mut self, now: Instant, busy: Duration) {
        let lasted = now.saturating_duration_since(self.begun);
        if lasted < WINDOW {
            return;
        }
        let load = busy.saturating_sub(self.busy).as_secs_f32() / lasted.as_secs_f32();
        let share = Share { load: load.min(1.0), connections: self.connections };
        *self = Self { begun: now, busy, connections: 0, share };
    }
}

impl Share {
    /// The part of it that is one connection's, as far as it can be told.
    pub(super) fn of_one(self) -> f32 {
        self.load / self.connections.max(1) as f32
    }

    pub(super) fn is_busy(self) -> bool {
        self.load > BUSY
    }

    pub(super) fn is_quiet(self) -> bool {
        self.load <= QUIET
    }

    /// Which is less.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.load.total_cmp(&other.load)
    }

    /// Whether it is so much that one of its connections is better served where there is only `other` to do.
    pub(super) fn parts_to(self, other: Self) -> bool {
        let busier = (self.load - self.of_one()).max(other.load + self.of_one());
        self.is_busy() && busier + GAIN <= self.load
    }

    /// Whether it is so little that one thread does it beside `other`.
    pub(super) fn joins(self, other: Self) -> bool {
        self.load + other.load <= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(load: f32, connections: u32) -> Share {
        Share { load, connections }
    }

    #[test]
    fn a_busy_thread_parts_with_a_connection_where_that_lightens_it() {
        assert!(share(1.0, 2).parts_to(share(0.0, 0)));
        assert!(share(1.0, 2).parts_to(share(0.3, 1)), "0.8 and 0.5 are better than 1 and 0.3");
        assert!(!share(1.0, 1).parts_to(share(0.0, 0)), "its only one would make the other as busy");
        assert!(!share(1.0, 2).parts_to(share(0.5, 1)));
        assert!(!share(0.7, 8).parts_to(share(0.0, 0)), "it is not too much");
    }

    #[test]
    fn two_quiet_threads_are_one() {
        assert!(share(0.1, 4).joins(share(0.2, 4)));
        assert!(!share(0.1, 4).joins(share(0.5, 4)));
    }

    #[test]
    fn what_was_joined_is_not_parted_and_what_was_parted_not_joined() {
        for (one, other) in (0..=10).flat_map(|one| (0..=10).map(move |other| (one as f32 / 10.0, other as f32 / 10.0)))
        {
            for connections in 1..100 {
                let (mine, theirs) = (share(one, connections), share(other, connections));
                if mine.joins(theirs) {
                    assert!(!share(one + other, 2 * connections).parts_to(share(0.0, 0)));
                }
                if mine.parts_to(theirs) {
                    let left = share(mine.load - mine.of_one(), connections - 1);
                    let more = share(theirs.load + mine.of_one(), connections + 1);
                    assert!(!more.joins(left) && !left.joins(more));
                    assert!(!more.parts_to(left) || more.load < mine.load);
                }
            }
        }
    }

    #[test]
    fn a_load_is_what_a_window_says_that_is_over() {
        let begun = Instant::now();
        let mut window = Window { connections: 3, ..Window::new(begun) };
        window.turn(begun + WINDOW / 2, WINDOW / 2);
        assert_eq!(window.share, Share::default(), "it is not over");
        window.turn(begun + 2 * WINDOW, WINDOW);
        assert_eq!((window.share, window.connections), (share(0.5, 3), 0));
        window.turn(begun + 4 * WINDOW, WINDOW);
        assert_eq!(window.share, share(0.0, 0), "what was before it does not count");
    }
}
