use crate::{
    clock,
    moment::{Board, Moment},
};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a response's head waits for the first message, which decides its status and its type. Above the time most
/// calls take; below the 30 s after which common proxies take a silent server for dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What `first` makes of itself; `None` once [`PATIENCE`] is over.
pub(super) fn patiently<F: Future>(first: F) -> Patient<F> {
    Patient { first, since: None, moment: None, sleep: None }
}

pin_project! {
    pub(super) struct Patient<F> {
        #[pin]
        first: F,
        since: Option<Instant>,
        // Most answers are there within it, and need no timer.
        moment: Option<Moment>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<F: Future> Future for Patient<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(first) = this.first.poll(cx) {
            return Poll::Ready(Some(first));
        }
        let since = *this.since.get_or_insert_with(clock::now);
        if this.sleep.is_none() {
            if let Some(moment) = this.moment {
                ready!(moment.poll_over(cx));
            } else if let Some(board) = Board::at_hand() {
                *this.moment = Some(board.begin(since, cx.waker()));
                return Poll::Pending;
            }
            *this.moment = None;
            this.sleep.set(Some(sleep_until(since + PATIENCE)));
        }
        this.sleep.as_pin_mut().expect("it was set above").poll(cx).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_no_longer_than_it_says() {
        let begun = Instant::now();
        assert_eq!(patiently(pending::<()>()).await, None);
        let lasted = begun.elapsed();
        assert!(lasted >= PATIENCE && lasted < PATIENCE + Duration::from_millis(5), "{lasted:?}");
        let late = tokio::time::sleep(PATIENCE - Duration::from_millis(5));
        assert_eq!(patiently(late).await, Some(()));
    }
}
