use super::{Count, Held, Metrics};
use crate::{
    BoxError,
    reply::{Event, Events},
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The events of a reply, which is in flight until the last of them.
#[derive(Debug)]
pub(super) struct TallyStream {
    events: Events,
    metrics: Metrics,
    _held: Option<Held>,
}

impl TallyStream {
    pub(super) fn new(events: Events, metrics: Metrics, held: Option<Held>) -> Self {
        Self { events, metrics, _held: held }
    }
}

impl Stream for TallyStream {
    type Item = Result<Event, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.events).poll_next(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            self.metrics.count(Count::of(&**error));
        }
        polled
    }
}
