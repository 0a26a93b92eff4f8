use crate::atomic::{AtomicUsize, AtomicWaker, Ordering};
use std::{fmt, sync::Arc, task::Waker};

/// The questions of one call that a person has not answered yet.
#[derive(Clone, Default)]
pub(super) struct Questions(Arc<Inner>);

#[derive(Default)]
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
        #[cfg(not(interleave))]
        self.0.answered.register(waker);
        #[cfg(interleave)]
        self.0.answered.register_by_ref(waker);
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

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Questions").field(&self.0.open.load(Ordering::Relaxed)).finish()
    }
}

#[cfg(all(test, interleave))]
mod interleaved {
    use super::*;
    use loom::{future::block_on, thread};
    use std::{future::poll_fn, task::Poll};

    #[test]
    fn whoever_waits_is_woken_by_the_last_answer() {
        loom::model(|| {
            let questions = Questions::default();
            let (first, second) = (questions.ask(), questions.ask());
            let answers = [first, second].map(|question| thread::spawn(move || drop(question)));
            // A wake that is lost is a thread that waits for ever, which the model reports.
            block_on(poll_fn(|cx| match questions.are_answered(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }));
            answers.into_iter().for_each(|answer| answer.join().unwrap());
        });
    }
}
