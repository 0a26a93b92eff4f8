use super::witness::Witness;
use crate::{
    BoxError,
    reply::{Event, Events},
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The events of a reply, and who reports how they end.
#[derive(Debug)]
pub(super) struct ObserveStream {
    events: Events,
    witness: Witness,
}

impl ObserveStream {
    pub(super) fn new(events: Events, witness: Witness) -> Self {
        Self { events, witness }
    }
}

impl Stream for ObserveStream {
    type Item = Result<Event, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.events).poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(Event::Done(outcome)))) => self.witness.succeeded(outcome),
            Poll::Ready(Some(Err(error))) => self.witness.failed(error),
            Poll::Ready(Some(Ok(_)) | None) | Poll::Pending => {}
        }
        polled
    }
}
