use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Something that is said once to all connections; clones are the same.
///
/// Each connection waits for it for as long as it lives, and looks each time it is woken for whatever reason. The lock of a
/// token would then pass from core to core several times with each call; the flag is only read.
#[derive(Clone, Debug, Default)]
pub(super) struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_given: AtomicBool,
    token: CancellationToken,
}

impl Signal {
    /// Says it.
    pub(super) fn give(&self) {
        self.0.is_given.store(true, Ordering::Release);
        self.0.token.cancel();
    }

    /// Waits until it is said.
    pub(super) fn given(&self) -> Given {
        Given { signal: self.clone(), waker: None, token: self.0.token.clone().cancelled_owned() }
    }
}

pin_project! {
    /// Ready once a [`Signal`] is given.
    #[derive(Debug)]
    pub(super) struct Given {
        signal: Signal,
        // Who is woken.
        waker: Option<Waker>,
        #[pin]
        token: WaitForCancellationFutureOwned,
    }
}

impl Future for Given {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let is_known = || this.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        // Whoever is known to the token is woken when it is given, also from between this look and its next wait.
        if !this.signal.0.is_given.load(Ordering::Acquire) && is_known() {
            return Poll::Pending;
        }
        *this.waker = Some(cx.waker().clone());
        this.token.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn whoever_waits_is_woken_once_it_is_given_and_whoever_comes_later_need_not_wait() {
        let signal = Signal::default();
        let mut early = task::spawn(signal.given());
        assert_pending!(early.poll());
        assert_pending!(early.poll());
        signal.give();
        assert!(early.is_woken());
        assert_ready!(early.poll());
        assert_ready!(task::spawn(signal.given()).poll());
    }

    #[tokio::test]
    async fn whoever_waits_in_another_place_than_before_is_woken_there() {
        let signal = Signal::default();
        let mut given = Box::pin(signal.given());
        assert_pending!(task::spawn(given.as_mut()).poll());
        let waiting = tokio::spawn(given);
        tokio::task::yield_now().await;
        signal.give();
        waiting.await.unwrap();
    }
}
