use crate::{BoxError, Reply, error::Unfinished, reply::Event, upstream::error::SessionRefused};
use futures_util::Stream;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Where the events of one call come from.
pub(super) trait Reading: Unpin + Send + 'static {
    /// The next event, in the form in which a stream gives it. Not asked again after the outcome or an error.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>>;
}

/// Waits for the first event and makes a reply that begins with it; one that begins with the outcome is complete.
pub(super) fn reply<R: Reading>(reading: R) -> Replying<R> {
    Replying(Some(reading))
}

/// The future of [`reply`].
pub(super) struct Replying<R>(Option<R>);

impl<R: Reading> Future for Replying<R> {
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reading = &mut self.get_mut().0;
        let first = ready!(reading.as_mut().expect("polled after completion").poll_event(cx));
        if let Some(Ok(first @ (Event::Note(_) | Event::Ask(_) | Event::Part(_)))) = first {
            let rest = reading.take().map(|reading| Rest { first: Some(first), reading });
            return Poll::Ready(Ok(rest.map(Reply::stream).expect("it was polled just now")));
        }
        *reading = None;
        Poll::Ready(match first {
            Some(Ok(Event::Done(outcome))) => Ok(Reply::single(outcome)),
            Some(Err(error)) => Err(error),
            _ => Err(Unfinished::new().into()),
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
            None => this.reading.poll_event(cx).map(|event| event.map(settled)),
        }
    }
}

/// Of a call that has told its client something the refusal is the outcome: it cannot be made again, whatever was refused.
fn settled(event: Result<Event, BoxError>) -> Result<Event, BoxError> {
    event.or_else(|error| error.downcast::<SessionRefused>()?.into_outcome().map(Event::Done))
}
