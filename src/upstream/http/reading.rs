use crate::{BoxError, Reply, error::Unfinished, reply::Event};
use futures_util::Stream;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

/// Where the events of one call come from.
pub(super) trait Reading: Unpin + Send + 'static {
    /// The next event, in the form in which a stream gives it. Not asked again after the outcome or an error.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>>;
}

/// Waits for the first event and makes a reply that begins with it; one that begins with the outcome is complete.
#[expect(clippy::manual_async_fn, reason = "its future would hold a parameter twice that it changes")]
pub(super) fn reply<R: Reading>(mut reading: R) -> impl Future<Output = Result<Reply, BoxError>> + Send {
    async move {
        Ok(match poll_fn(|cx| reading.poll_event(cx)).await.transpose()? {
            None => return Err(Unfinished::new().into()),
            Some(Event::Done(outcome)) => Reply::single(outcome),
            first => Reply::stream(Rest { first, reading }),
        })
    }
}

/// The events of a reply whose first one has been read.
struct Rest<R> {
    first: Option<Event>,
    reading: R,
}

impl<R: Reading> Stream for Rest<R> {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match this.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => this.reading.poll_event(cx),
        }
    }
}
