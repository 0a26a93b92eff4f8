use futures_util::task::AtomicWaker;
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// Tells one call that it was taken back, or that its session is over; clones are the same.
///
/// One task watches it, that of the call. A token that any number of tasks can watch would be linked to the one of its
/// session for each call, under a lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancel(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_set: AtomicBool,
    watcher: AtomicWaker,
}

impl Cancel {
    pub(super) fn set(&self) {
        self.0.is_set.store(true, Ordering::Release);
        self.0.watcher.wake();
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Acquire)
    }

    /// Ready once it is set.
    pub(super) fn poll_set(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Looked at after the waker is in place: what sets it in between wakes.
        self.0.watcher.register(cx.waker());
        if self.is_set() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until it is set.
    pub(super) async fn wait(&self) {
        poll_fn(|cx| self.poll_set(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn whoever_watches_is_woken_and_whoever_comes_later_need_not_wait() {
        let cancel = Cancel::default();
        let mut early = task::spawn({
            let cancel = cancel.clone();
            async move { cancel.wait().await }
        });
        assert_pending!(early.poll());
        cancel.set();
        assert!(early.is_woken());
        assert_ready!(early.poll());
        assert_ready!(task::spawn(cancel.wait()).poll());
    }
}
