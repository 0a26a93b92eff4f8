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

/// After so many events the clock is looked at though there are more: who is never at a loss for an event must not get beyond
/// the longest total, and a look costs little beside so many.
const UNTIMED: usize = 64;
/// So many bytes count as one event more: a reader that is slow may take seconds for each of those that are large.
const UNTIMED_BYTES: usize = 1 << 10;

pin_project! {
    /// The events of a reply under its deadlines.
    #[derive(Debug)]
    pub(super) struct TimeoutStream {
        events: Events,
        // Events since the clock was last looked at. The silence begins when there is nothing more to read, so events that came
        // together cost one look.
        heard: usize,
        #[pin]
        watch: Watch,
    }
}

impl TimeoutStream {
    pub(super) fn new(events: Events, terms: Terms) -> Self {
        Self { events, heard: 0, watch: Watch::new(terms) }
    }
}

impl Stream for TimeoutStream {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let mut polled = Pin::new(this.events).poll_next(cx);
        match &mut polled {
            Poll::Ready(event) => {
                *this.heard += 1 + event.as_ref().map_or(0, |event| event.as_ref().map_or(0, size)) / UNTIMED_BYTES;
                if let Some(Ok(Event::Ask(ask))) = event {
                    ask.hold(this.watch.as_mut().asked());
                }
                // The end counts, however late it is.
                let goes_on = matches!(event, Some(Ok(Event::Note(_) | Event::Ask(_) | Event::Part(_))));
                if goes_on && *this.heard >= UNTIMED {
                    *this.heard = 0;
                    if let Poll::Ready(error) = this.watch.poll_heard(cx) {
                        polled = Poll::Ready(Some(Err(error)));
                    }
                }
            }
            Poll::Pending => {
                if std::mem::take(this.heard) > 0 {
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

fn size(event: &Event) -> usize {
    match event {
        Event::Note(note) => note.params.as_bytes().len(),
        Event::Part(part) => part.len(),
        Event::Ask(_) | Event::Done(_) => 0,
    }
}
