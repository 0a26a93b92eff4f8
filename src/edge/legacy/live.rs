use super::cancel::Cancel;
use crate::{
    BoxError, Call,
    edge::running::{Inner, Running},
    reply::Event,
};
use futures_util::{Stream, StreamExt};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What ends the events of a call before its outcome.
pub(super) enum Over {
    /// That the call is taken back, or its session over.
    Call(Cancel),
    /// That the session is over; for what lasts as long as it does.
    Session(Pin<Box<WaitForCancellationFutureOwned>>),
}

impl Over {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Over::Call(cancel) => cancel.poll_set(cx),
            Over::Session(ended) => ended.as_mut().poll(cx),
        }
    }

    /// Whether it is over by now; of a call that is not, nobody need be woken when it is.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Over::Call(cancel) => cancel.is_set(),
            Over::Session(ended) => ended.as_mut().poll(cx).is_ready(),
        }
    }
}

/// The events of a call of a session: they end without an outcome once the call is taken back.
///
/// Dropping it cancels the call; [`Kept`](super::dialogue::Kept) does not.
pub(super) struct Live<G, E = Running> {
    events: Option<E>,
    over: Over,
    // After the call, so that its place is free only when it has gone.
    _place: G,
}

impl<G> Live<G> {
    /// Listens for as long as a session lasts.
    pub(super) fn start<S: Inner>(inner: &Arc<S>, call: Call, ended: CancellationToken, place: G) -> Self {
        let ended = Over::Session(Box::pin(ended.cancelled_owned()));
        Self::new(Running::start(inner, call), ended, place)
    }
}

impl<G, E> Live<G, E> {
    pub(super) fn new(events: E, over: Over, place: G) -> Self {
        Self { events: Some(events), over, _place: place }
    }
}

impl<G: Unpin, E: Stream<Item = Result<Event, BoxError>> + Unpin> Stream for Live<G, E> {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.over.is_over(cx) {
            this.events = None;
        }
        if let Some(events) = &mut this.events {
            match events.poll_next_unpin(cx) {
                Poll::Pending => ready!(this.over.poll(cx)),
                event => return event,
            }
        }
        this.events = None;
        Poll::Ready(None)
    }
}
