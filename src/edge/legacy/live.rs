use super::session::Ticket;
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
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The events of a call of a session: they end without an outcome once the call is taken back.
///
/// Dropping it cancels the call; [`Kept`] does not.
pub(in crate::edge) struct Live<G> {
    running: Option<Running>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    // After the call, so that its place is free only when it has gone.
    _place: G,
}

impl<G> Live<G> {
    pub(super) fn start<S: Inner>(inner: &S, call: Call, cancelled: CancellationToken, place: G) -> Self {
        let cancelled = Box::pin(cancelled.cancelled_owned());
        Self { running: Some(Running::start(inner, call)), cancelled, _place: place }
    }
}

impl<G: Unpin> Stream for Live<G> {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.cancelled.as_mut().poll(cx).is_ready() {
            this.running = None;
        }
        match &mut this.running {
            Some(running) => running.poll_next_unpin(cx),
            None => Poll::Ready(None),
        }
    }
}

/// A call that outlives its response: where the client's connection goes, the call moves into a task of its own and
/// runs to its end there, in its place in the session. Only the client's notification, a deadline behind the edge or
/// the end of the session cancel it.
pub(super) struct Kept(Option<Live<Ticket>>);

impl Kept {
    pub(super) fn start<S: Inner>(inner: &S, call: Call, ticket: Ticket) -> Self {
        Self(Some(Live::start(inner, call, ticket.token().clone(), ticket)))
    }
}

impl Stream for Kept {
    type Item = Result<Event, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(live) = &mut self.0 else { return Poll::Ready(None) };
        let event = std::task::ready!(live.poll_next_unpin(cx));
        if !matches!(event, Some(Ok(Event::Note(_)))) {
            self.0 = None;
        }
        Poll::Ready(event)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the call with it.
        if let (Some(mut live), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { while live.next().await.is_some() {} });
        }
    }
}
