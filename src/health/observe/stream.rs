use super::witness::Witness;
use crate::{
    BoxError,
    reply::{Event, Events},
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
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
        let event = ready!(Pin::new(&mut self.events).poll_next(cx));
        match &event {
            Some(Ok(Event::Done(outcome))) => self.witness.succeeded(outcome),
            Some(Err(error)) => self.witness.failed(error),
            Some(Ok(_)) | None => {}
        }
        Poll::Ready(event)
    }
}
