use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

/// The questions of one call that a person has not answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: AtomicUsize,
    answered: AtomicWaker,
}

impl Questions {
    /// Counts a question until the guard is dropped, with its answer or without.
    pub(super) fn ask(&self) -> Question {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        Question(self.clone())
    }

    /// Whether none is open; if one is, `waker` is woken when the last one is answered.
    pub(super) fn are_answered(&self, waker: &Waker) -> bool {
        // Registered before the look, or an answer between the two would wake nobody.
        self.0.answered.register(waker);
        self.0.open.load(Ordering::Acquire) == 0
    }
}

/// One question that is out.
#[derive(Debug)]
pub(super) struct Question(Questions);

impl Drop for Question {
    fn drop(&mut self) {
        if self.0.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.answered.wake();
        }
    }
}
