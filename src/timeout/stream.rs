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
        // Whether an event came since the clock was last looked at. The silence begins when there is nothing more to read,
        // so events that came together cost one look.
        heard: bool,
        #[pin]
        watch: Watch,
    }
}

impl TimeoutStream {
    pub(super) fn new(events: Events, terms: Terms) -> Self {
        Self { events, heard: false, watch: Watch::new(terms) }
    }
}

impl Stream for TimeoutStream {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let mut polled = Pin::new(this.events).poll_next(cx);
        match &mut polled {
            Poll::Ready(event) => {
                *this.heard = true;
                if let Some(Ok(Event::Ask(ask))) = event {
                    ask.hold(this.watch.asked());
                }
            }
            Poll::Pending => {
                if std::mem::take(this.heard) {
                    this.watch.as_mut().heard();
                }
                if let Poll::Ready(error) = this.watch.poll_over(cx) {
                    polled = Poll::Ready(Some(Err(error)));
                }
            }
        }
        polled
    }
}
