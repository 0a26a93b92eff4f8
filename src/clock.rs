//! The time, read once in a poll.
//!
//! Half a dozen layers note when a call came or was answered, all within the few microseconds of one poll. To read a clock takes
//! some 40 ns on a virtual machine: ten readings would be a fortieth of what a call costs.

use std::cell::Cell;
use tokio::time::Instant;

#[derive(Clone, Copy)]
enum Time {
    /// Nobody holds it.
    Runs,
    /// It stands, as soon as it is read.
    Unread,
    Stands(Instant),
}

thread_local! {
    static TIME: Cell<Time> = const { Cell::new(Time::Runs) };
}

/// The time: within [`during`], that of the first look; the real one elsewhere.
///
/// For what is noted of a call. Who must notice that a poll takes long asks the clock itself.
pub(crate) fn now() -> Instant {
    match TIME.get() {
        Time::Runs => Instant::now(),
        Time::Stands(at) => at,
        Time::Unread => {
            let now = Instant::now();
            TIME.set(Time::Stands(now));
            now
        }
    }
}

/// Polls something, in which time stands still.
pub(crate) fn during<T>(poll: impl FnOnce() -> T) -> T {
    let Time::Runs = TIME.get() else { return poll() };
    TIME.set(Time::Unread);
    let _running = Running;
    poll()
}

/// Lets the time run again, also where a poll panics.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        TIME.set(Time::Runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Waits until the clock has moved on.
    fn pass() {
        let before = Instant::now();
        while Instant::now() == before {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn it_stands_in_a_poll_and_in_those_within_and_runs_behind_it() {
        let (first, second) = during(|| {
            let first = now();
            pass();
            (first, during(now))
        });
        assert_eq!(first, second);
        let (later, after) = during(|| {
            during(pass);
            (now(), now())
        });
        assert_eq!(later, after, "the one within does not let it run");
        assert!(later > first);
        let before = now();
        pass();
        assert!(now() > before);
    }

    #[test]
    fn it_runs_again_after_a_panic() {
        let panicked = catch_unwind(AssertUnwindSafe(|| during(|| panic!("{:?}", now()))));
        assert!(panicked.is_err());
        let before = now();
        pass();
        assert!(now() > before);
    }
}
