use super::{Vacancy, vacancy::Queue};
use crate::Call;
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
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
    since: Instant,
}

impl Turn {
    pub(super) fn new(vacancy: Vacancy) -> Self {
        let number = vacancy.change(Queue::join);
        Self(Arc::new(Seat { vacancy, number: AtomicU64::new(number), since: Instant::now() }))
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
        if waits { Poll::Pending } else { Poll::Ready(()) }
    }

    /// When the call should give up: about a second after it first joined.
    pub fn until(&self) -> Instant {
        self.0.since + PATIENCE
    }

    /// After a look that found no room: one that had been told stands at the end of the queue, and what it was told goes to
    /// another, which may be able to use it. One that had not is where it was, which is `false`.
    pub fn again(&self) -> bool {
        let number = self.0.number();
        let (told, next) = self.0.vacancy.change(|queue| {
            let told = queue.is_told(number);
            if told {
                self.0.number.store(queue.join(), Ordering::Relaxed);
            }
            (told, told.then(|| queue.leave(number)).flatten())
        });
        if let Some(next) = next {
            next.wake();
        }
        told
    }

    /// Whether nobody has waited for longer. One that is the first as it joins should look once more: what became free before
    /// that was told to nobody.
    pub fn is_first(&self) -> bool {
        self.0.vacancy.change(|queue| queue.is_first(self.0.number()))
    }

    /// The call has found a place.
    pub(super) fn end(&self) {
        self.0.vacancy.change(|queue| queue.end(self.0.number()));
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
        if let Some(next) = self.vacancy.change(|queue| queue.leave(self.number())) {
            next.wake();
        }
    }
}
