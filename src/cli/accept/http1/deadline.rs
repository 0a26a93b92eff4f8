use crate::timer::Timer;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// The one deadline that a connection has at a time.
///
/// A timer that is moved with each request costs more than all else that a connection waits for, and nearly always the
/// next request comes first. So this one goes on to where it was set and is moved when it rings too early.
#[derive(Debug)]
pub(super) struct Deadline {
    due: Option<(Instant, Due)>,
    timer: Timer,
}

/// What is late when the deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The rest of a request's head, or of a body that nobody reads any more.
    Request,
    /// The next request.
    Idle,
    /// Room for what is to be written.
    Stall,
    /// The client's own end, after ours.
    Linger,
}

impl Deadline {
    pub(super) fn new(at: Instant, due: Due) -> Self {
        Self { due: Some((at, due)), timer: Timer::new(at) }
    }

    pub(super) fn set(&mut self, at: Instant, due: Due) {
        if at < self.timer.deadline() {
            self.timer.reset(at);
        }
        self.due = Some((at, due));
    }

    pub(super) fn clear(&mut self) {
        self.due = None;
    }

    /// Rings on the runtime that this is called in from here on.
    pub(super) fn renew(&mut self) {
        self.timer = Timer::new(self.timer.deadline());
    }

    /// What the deadline is for, if there is one.
    pub(super) fn due(&self) -> Option<Due> {
        self.due.map(|(_, due)| due)
    }

    /// Ready when the deadline has passed; never without one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let Some((at, due)) = self.due else { return Poll::Pending };
        loop {
            ready!(self.timer.poll(cx));
            if self.timer.deadline() >= at {
                return Poll::Ready(due);
            }
            self.timer.reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::advance;
    use tokio_test::{assert_pending, assert_ready_eq, task};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_rings_once_and_at_its_last_place() {
        let mut deadline = Deadline::new(Instant::now() + SECOND, Due::Request);
        let mut task = task::spawn(());
        let mut poll = |deadline: &mut Deadline| task.enter(|cx, _| deadline.poll(cx));
        assert_pending!(poll(&mut deadline));
        deadline.clear();
        deadline.set(Instant::now() + 3 * SECOND, Due::Idle);
        assert_pending!(poll(&mut deadline));
        advance(2 * SECOND).await;
        assert_pending!(poll(&mut deadline));
        advance(2 * SECOND).await;
        assert_ready_eq!(poll(&mut deadline), Due::Idle);
        // Earlier than where the timer stands.
        deadline.set(Instant::now() + 60 * SECOND, Due::Idle);
        assert_pending!(poll(&mut deadline));
        deadline.set(Instant::now() + SECOND, Due::Request);
        assert_pending!(poll(&mut deadline));
        advance(SECOND + SECOND / 10).await;
        assert_ready_eq!(poll(&mut deadline), Due::Request);
        deadline.clear();
        assert_pending!(poll(&mut deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_is_woken_at_the_deadline_though_the_timer_stood_before_it() {
        let mut deadline = Deadline::new(Instant::now() + SECOND, Due::Request);
        let begun = Instant::now();
        deadline.set(begun + 3 * SECOND, Due::Idle);
        assert_eq!(std::future::poll_fn(|cx| deadline.poll(cx)).await, Due::Idle);
        assert!(begun.elapsed() >= 3 * SECOND);
    }
}
