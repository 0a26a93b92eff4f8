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
        let mut this = self.project();
        match Pin::new(this.events).poll_next(cx) {
            Poll::Ready(mut event) => {
                this.watch.as_mut().heard();
                if let Some(Ok(Event::Ask(ask))) = &mut event {
                    ask.hold(this.watch.asked());
                }
                Poll::Ready(event)
            }
            Poll::Pending => this.watch.poll_over(cx).map(|error| Some(Err(error))),
        }
    }
}
