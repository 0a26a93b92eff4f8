//! A timer that is asked far more often than it rings.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::{
    task::coop,
    time::{Instant, Sleep, sleep_until},
};

/// One of the runtime's timers. It is asked whenever its task is woken by something else, and remembers whom it will wake: the
/// runtime is not told again.
#[derive(Debug)]
pub(crate) struct Timer {
    // Boxed, because what has a timer must be one that can be moved.
    sleep: Pin<Box<Sleep>>,
    /// Who is woken when it rings.
    waker: Option<Waker>,
}

impl Timer {
    pub(crate) fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at)), waker: None }
    }

    /// When it rings.
    pub(crate) fn deadline(&self) -> Instant {
        self.sleep.deadline()
    }

    pub(crate) fn reset(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at);
        self.waker = None;
    }

    /// Ready once it has rung.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_elapsed() {
            return Poll::Ready(());
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        // A task that has used up its turn is told to come again before the runtime hears of the timer, however late it is: one
        // that uses up each turn before it asks would never be told the time.
        let is_heard = coop::has_budget_remaining();
        if !is_heard && Instant::now() >= self.deadline() {
            return Poll::Ready(());
        }
        let rung = self.sleep.as_mut().poll(cx);
        self.waker = (rung.is_pending() && is_heard).then(|| cx.waker().clone());
        rung
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, task::ready, time::Duration};
    use tokio_test::{assert_pending, assert_ready, task};

    #[tokio::test(start_paused = true)]
    async fn it_wakes_whoever_asked_last_and_rings_where_it_was_moved_to() {
        let second = Duration::from_secs(1);
        let mut timer = Timer::new(Instant::now() + second);
        let (mut first, mut last) = (task::spawn(()), task::spawn(()));
        assert_pending!(first.enter(|cx, _| timer.poll(cx)));
        assert_pending!(last.enter(|cx, _| timer.poll(cx)));
        assert_pending!(last.enter(|cx, _| timer.poll(cx)));
        tokio::time::advance(2 * second).await;
        assert!(last.is_woken() && !first.is_woken());
        timer.reset(Instant::now() + second);
        assert_pending!(last.enter(|cx, _| timer.poll(cx)));
        tokio::time::advance(2 * second).await;
        assert!(last.is_woken());
        assert_ready!(last.enter(|cx, _| timer.poll(cx)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_where_it_was_first_asked_at_the_end_of_a_turn() {
        let mut timer = Timer::new(Instant::now() + Duration::from_secs(1));
        let mut is_first = true;
        let rings = poll_fn(|cx| {
            while is_first && coop::has_budget_remaining() {
                ready!(coop::poll_proceed(cx)).made_progress();
            }
            is_first = false;
            timer.poll(cx)
        });
        tokio::time::timeout(Duration::from_secs(2), rings).await.expect("the runtime was told of it");
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_for_a_task_that_uses_up_each_turn_before_it_asks() {
        for is_set_before in [false, true] {
            let mut timer = Timer::new(Instant::now() + Duration::from_secs(1));
            if is_set_before {
                assert_pending!(task::spawn(()).enter(|cx, _| timer.poll(cx)));
            }
            let mut asked = async || {
                let mut is_used_up = false;
                poll_fn(|cx| {
                    while !is_used_up && coop::has_budget_remaining() {
                        ready!(coop::poll_proceed(cx)).made_progress();
                    }
                    is_used_up = true;
                    Poll::Ready(timer.poll(cx))
                })
                .await
            };
            assert_pending!(asked().await);
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_ready!(asked().await);
        }
    }
}
