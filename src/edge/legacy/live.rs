use crate::{
    BoxError, Call,
    edge::running::{Inner, Running},
    reply::Event,
};
use futures_util::{Stream, StreamExt};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The events of a call, whatever makes them.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<Event, BoxError>> + Send>>;

/// Whether a call was taken back is looked at where it waits, and before every so many events where it never does.
const LOOK: u8 = 16;

/// The events of a call of a session: they end without an outcome once the call is taken back.
///
/// Dropping it cancels the call; [`Kept`](super::dialogue::Kept) does not.
pub(super) struct Live<G> {
    events: Option<Events>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Events in a row before which nobody looked whether the call was taken back.
    unlooked: u8,
    // After the call, so that its place is free only when it has gone.
    _place: G,
}

impl<G> Live<G> {
    pub(super) fn start<S: Inner>(inner: &S, call: Call, cancelled: CancellationToken, place: G) -> Self {
        Self::new(Box::pin(Running::start(inner, call)), cancelled, place)
    }

    pub(super) fn new(events: Events, cancelled: CancellationToken, place: G) -> Self {
        Self { events: Some(events), cancelled: Box::pin(cancelled.cancelled_owned()), unlooked: LOOK, _place: place }
    }
}

impl<G: Unpin> Stream for Live<G> {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let looks = this.unlooked >= LOOK;
        if looks && this.cancelled.as_mut().poll(cx).is_ready() {
            this.events = None;
        }
        let Some(events) = &mut this.events else { return Poll::Ready(None) };
        let event = events.poll_next_unpin(cx);
        if event.is_ready() {
            this.unlooked = if looks { 0 } else { this.unlooked + 1 };
            return event;
        }
        this.unlooked = LOOK;
        if !looks && this.cancelled.as_mut().poll(cx).is_ready() {
            this.events = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
