use super::watch::{Terms, Watch};
use crate::{
    BoxError,
    reply::{Event, Events},
};
use futures_util::Stream;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The events of a reply under its deadlines.
    #[derive(Debug)]
    pub(super) struct TimeoutStream {
        events: Events,
        #[pin]
        watch: Watch,
    }
}

impl TimeoutStream {
    pub(super) fn new(events: Events, terms: Terms) -> Self {
        Self { events, watch: Watch::new(terms) }
    }
}

impl Stream for TimeoutStream {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        match Pin::new(this.events).poll_next(cx) {
            Poll::Ready(event) => {
                this.watch.heard();
                Poll::Ready(event)
            }
            Poll::Pending => this.watch.poll_elapsed(cx).map(|elapsed| Some(Err(elapsed.into()))),
        }
    }
}
