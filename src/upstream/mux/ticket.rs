use super::{
    Mux,
    questions::Asked,
    slot::Slot,
    waiter::{Relay, Waiter},
};
use crate::{BoxError, Reply, error::Unfinished, reply::Event};
use futures_util::Stream;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};
use tokio::task::coop;

/// The receiving end of one call: resolves with the first message, which decides what kind of reply it is.
///
/// If the outcome comes first, the reply is [single](Reply::single); if a note does, it is a stream. Dropping the
/// ticket, or the reply it became, frees the slot and cancels the call at the server.
#[must_use = "dropping a ticket cancels the call"]
pub struct Ticket {
    /// `None` once the reply has taken it over.
    guard: Option<Guard>,
}

impl Ticket {
    /// What arrives wakes by way of `relay`, if there is one.
    pub(super) fn new(mux: Mux, id: u64, relay: Option<Arc<Relay>>) -> Self {
        Self { guard: Some(Guard { mux, id, quietly: false, relay }) }
    }

    /// The call's id at the server.
    ///
    /// # Panics
    ///
    /// If the ticket has resolved.
    pub fn id(&self) -> u64 {
        self.guard.as_ref().expect("asked before the ticket resolved").id
    }

    /// Frees the slot without a cancellation, for a frame that certainly did not arrive.
    pub fn abandon(mut self) {
        if let Some(guard) = &mut self.guard {
            guard.quietly = true;
        }
    }

    /// A stream reply at once, without waiting for the first message.
    pub fn into_reply(mut self) -> Reply {
        match self.guard.take() {
            Some(guard) => Reply::stream(Events::new(guard)),
            None => Reply::stream(futures_util::stream::empty()),
        }
    }
}

impl Future for Ticket {
    type Output = Result<Reply, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let guard = self.guard.as_ref().expect("polled after the ticket resolved");
        let mut state = guard.mux.lock();
        let Some(slot) = state.slots.get_mut(&guard.id) else {
            return Poll::Ready(Err(Unfinished::new().into()));
        };
        if slot.notes.is_empty() && slot.questions.nothing_new() {
            let Some(outcome) = slot.outcome.take() else {
                let old = guard.wait(slot, cx.waker());
                drop(state);
                drop(old);
                return Poll::Pending;
            };
            drop(state);
            self.guard = None;
            return Poll::Ready(outcome.map(Reply::single));
        }
        drop(state);
        let events = self.guard.take().map(Events::new);
        Poll::Ready(Ok(events.map_or_else(|| Reply::stream(futures_util::stream::empty()), Reply::stream)))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.guard.as_ref().map(|guard| guard.id)).finish()
    }
}

/// Frees the slot when the last holder is gone.
struct Guard {
    mux: Mux,
    id: u64,
    quietly: bool,
    relay: Option<Arc<Relay>>,
}

impl Guard {
    /// Has `waker` woken when something arrives. What it takes the place of is to be dropped when the lock is free: it may
    /// hold the last reference to a task that owns another ticket.
    fn wait(&self, slot: &mut Slot, waker: &Waker) -> Option<Waiter> {
        if slot.waker.as_ref().is_some_and(|waiter| waiter.is(waker)) {
            return None;
        }
        slot.waker.replace(Waiter::new(waker, self.relay.as_ref()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.mux.release(self.id, self.quietly);
    }
}

struct Events {
    /// Questions that were handed out. Before the guard: those who wait for a question learn first that it is moot.
    asked: Vec<Asked>,
    guard: Guard,
}

impl Events {
    fn new(guard: Guard) -> Self {
        Self { asked: Vec::new(), guard }
    }

    /// Sends the answers that are there.
    fn answer(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while at < self.asked.len() {
            match Pin::new(&mut self.asked[at].answer).poll(cx) {
                Poll::Ready(answer) => self.guard.mux.answer(self.guard.id, &self.asked.swap_remove(at).id, answer),
                Poll::Pending => at += 1,
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Event, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The channel may be read on another thread, by which there is always more: whoever takes it leaves its own to others.
        let turn = ready!(coop::poll_proceed(cx));
        let polled = self.poll_event(cx);
        if polled.is_ready() {
            turn.made_progress();
        }
        polled
    }
}

impl Events {
    #[inline]
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>> {
        self.answer(cx);
        let this = self;
        let mut state = this.guard.mux.lock();
        let Some(slot) = state.slots.get_mut(&this.guard.id) else { return Poll::Ready(None) };
        if slot.questions.any_withdrawn() {
            this.asked.retain(|asked| slot.questions.contains(&asked.id));
        }
        if let Some(note) = slot.pop() {
            return Poll::Ready(Some(Ok(note.into())));
        }
        if let Some((ask, asked)) = slot.questions.take() {
            this.asked.push(asked);
            return Poll::Ready(Some(Ok(ask.into())));
        }
        if let Some(outcome) = slot.outcome.take() {
            return Poll::Ready(Some(outcome.map(Event::Done)));
        }
        if slot.is_over() {
            return Poll::Ready(None);
        }
        let old = this.guard.wait(slot, cx.waker());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{connected, deliver, progress, sent};
    use crate::Method;
    use futures_util::{FutureExt, StreamExt};

    #[tokio::test]
    async fn a_call_that_always_has_more_leaves_the_thread_to_others_and_loses_nothing() {
        let mux = connected();
        let ticket = sent(&mux, Method::TOOLS_CALL, r#"{"_meta":{"progressToken":"mine"}}"#);
        let mut events = ticket.into_reply().into_events();
        let mut taken = 0;
        loop {
            deliver(&mux, progress(1, taken));
            let Some(event) = events.next().now_or_never() else { break };
            event.unwrap().unwrap();
            taken += 1;
            assert!(taken < 1_000, "at one go");
        }
        tokio::task::yield_now().await;
        assert!(events.next().now_or_never().is_some(), "what came last is still there");
    }
}
