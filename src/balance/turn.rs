use super::{Vacancy, vacancy::Queue};
use crate::{
    Call,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// How long a call that finds every endpoint full waits for room, in all. A burst of short calls passes in that time; what
/// does not is refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// A place in the queue of a full pool; clones are the same place, which is left with the last of them.
///
/// A call that waits has it in its [`extensions`](crate::call::Parts::extensions), by which
/// [`Balance`](super::Balance) knows that it need not stand behind others.
#[derive(Clone, Debug)]
pub struct Turn(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    vacancy: Vacancy,
    number: AtomicU64,
    /// Whether it knows that it was told. A look that began before says nothing about the room it was told of.
    heard: AtomicBool,
    since: Instant,
}

impl Turn {
    pub(super) fn new(vacancy: Vacancy) -> Self {
        let number = vacancy.change(Queue::join);
        let (number, heard) = (AtomicU64::new(number), AtomicBool::new(false));
        Self(Arc::new(Seat { vacancy, number, heard, since: Instant::now() }))
    }

    /// That of a call.
    pub fn of(call: &Call) -> Option<&Self> {
        call.extensions.get()
    }

    /// Waits until there may be room. Nothing is lost if the future is dropped.
    pub async fn comes(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waits = self.0.vacancy.change(|queue| queue.waits(self.0.number(), cx.waker()));
        self.0.heard.store(!waits, Ordering::Relaxed);
        if waits { Poll::Pending } else { Poll::Ready(()) }
    }

    /// When the call should give up: about a second after it first joined.
    pub fn until(&self) -> Instant {
        self.0.since + PATIENCE
    }

    /// After a look that found no room: one that had been told stands at the end of the queue, and what it was told goes to
    /// another, which may be able to use it. One that had found a place, and was refused after all, stands there, too. One that
    /// was not told, or does not know yet, is where it was, which is `false`.
    pub fn again(&self) -> bool {
        let told = self.0.vacancy.change(|queue| {
            let heard = self.0.heard.swap(false, Ordering::Relaxed);
            let (number, next) = queue.again(self.0.number(), heard)?;
            self.0.number.store(number, Ordering::Relaxed);
            Some(next)
        });
        told.map(|next| next.into_iter().for_each(Waker::wake)).is_some()
    }

    /// Whether it joined an empty queue. Then the call should look once more: what became free before that was told to nobody.
    pub fn is_opener(&self) -> bool {
        self.0.vacancy.change(|queue| queue.is_opener(self.0.number()))
    }

    /// Whether nobody has waited for longer, and nobody is on the way to a place.
    pub fn is_first(&self) -> bool {
        self.0.vacancy.change(|queue| queue.is_first(self.0.number()))
    }

    /// The call has found a place.
    pub(super) fn end(&self) {
        self.0.vacancy.change(|queue| queue.end(self.0.number())).into_iter().for_each(Waker::wake);
    }
}

impl Seat {
    /// Changed by [`Turn::again`] alone, while the queue is locked.
    fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.vacancy.change(|queue| queue.leave(self.number())).into_iter().for_each(Waker::wake);
    }
}
