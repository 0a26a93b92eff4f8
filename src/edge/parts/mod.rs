//! Answers that are written while their result still arrives.

mod told;

pub(super) use told::{Told, Way};

use super::{Body, message::Message, writer::Writer};
use crate::{
    BoxError, Method,
    error::Unfinished,
    reply::{Event, Outcome},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Response, header};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Why an answer ended before its end: the server's own broke off after the first of it had been passed on.
///
/// What was sent cannot be taken back, and the rest is not known: the connection is closed (HTTP/2: the stream is reset), so
/// that no client takes half an answer for one.
#[derive(Debug, thiserror::Error)]
#[error("the answer was broken off")]
pub struct Broken(#[source] BoxError);

impl Broken {
    fn off(error: BoxError) -> Self {
        tracing::debug!(error = &*error as &dyn std::error::Error, "an answer was broken off");
        Self(error)
    }
}

/// Whether results of this method go to clients as they come from servers: none of them is of the gateway, and none is looked
/// into on the way between two of one era.
pub(super) fn suit(method: &Method) -> bool {
    [Method::TOOLS_CALL, Method::RESOURCES_READ, Method::PROMPTS_GET].contains(method)
}

/// The response to a request whose result began with `first`.
pub(super) fn respond<E>(writer: Writer, first: Bytes, events: E) -> Response<Body>
where
    E: Stream<Item = Result<Event, BoxError>> + Send + Unpin + 'static,
{
    let first = writer.opening(first);
    let rest = Rest { events: Some(events), writer };
    let mut response = Response::new(Body::parts(stream::iter([Ok(first)]).chain(rest)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What follows the first part, as messages that make one text.
struct Rest<E> {
    // Gone with the last event, so that what it holds is free when the client has its answer.
    events: Option<E>,
    writer: Writer,
}

impl<E: Stream<Item = Result<Event, BoxError>> + Unpin> Stream for Rest<E> {
    type Item = Result<Message, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(events) = &mut this.events else { return Poll::Ready(None) };
        let last = loop {
            break match ready!(events.poll_next_unpin(cx)) {
                Some(Ok(Event::Part(part))) => return Poll::Ready(Some(Ok(part.into()))),
                // Nothing can be said beside a JSON answer that has begun; a question is refused by being dropped.
                Some(Ok(Event::Note(_) | Event::Ask(_))) => continue,
                Some(Ok(Event::Done(Outcome::Passed(members)))) => Ok(this.writer.closing(members)),
                Some(Err(error)) => Err(error),
                // Taken back by the client, or an outcome that does not go on with what was begun.
                Some(Ok(Event::Done(_))) | None => Err(Unfinished::new().into()),
            };
        };
        this.events = None;
        Poll::Ready(Some(last.map_err(Broken::off)))
    }
}
