use super::{
    Body,
    error::{Refusal, bare, retry_after},
    message::Message,
    parts,
    patience::patiently,
    running::Running,
    stream::{Answering, WriteEvents},
    writer::Writer,
};
use crate::{BoxError, error::explain, reply::Event};
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Response, StatusCode, header};
use std::{future::Future, time::Duration};

/// Answers a request: JSON where the outcome comes first, or the first part of it; an event stream where something else
/// comes before it or nothing comes for ten seconds.
#[expect(clippy::manual_async_fn, reason = "its future would hold a parameter twice that it changes")]
pub(super) fn respond<E>(
    mut events: E,
    writer: Writer,
    keep_alive: Duration,
) -> impl Future<Output = Response<Body>> + Send + use<E>
where
    E: Stream<Item = Result<Event, BoxError>> + Send + Unpin + 'static,
{
    async move {
        let first = match patiently(events.next()).await {
            Some(Some(Ok(event @ (Event::Note(_) | Event::Ask(_))))) => Some(Ok(event)),
            Some(Some(Ok(Event::Part(part)))) => return parts::respond(writer, part, events),
            Some(Some(Ok(Event::Done(outcome)))) => {
                let (status, message) = writer.done(outcome);
                return json(status, message);
            }
            Some(Some(Err(error))) => {
                let problem = writer.failed(&*error);
                let mut response = json(problem.status, writer.problem(&problem));
                if let Some(delay) = problem.retry_after {
                    retry_after(response.headers_mut(), delay);
                }
                return response;
            }
            // Taken back by the client, who wants no answer.
            Some(None) => return bare(StatusCode::ACCEPTED),
            None => None,
        };
        event_stream(Answering::new(first, events, writer), keep_alive)
    }
}

/// Appends one event as the message it is to the client; nothing for a question, which is refused by being dropped,
/// and for a part, which nobody asks for who is answered so.
pub(super) fn append(writer: &Writer, event: Result<Event, BoxError>, out: &mut Vec<u8>) {
    match event {
        Ok(Event::Note(note)) => writer.append_note(&note, out),
        Ok(Event::Ask(_) | Event::Part(_)) => {}
        Ok(Event::Done(outcome)) => writer.done(outcome).1.append_to(out),
        Err(error) => out.extend_from_slice(&writer.problem(&writer.failed(&*error))),
    }
}

/// Hands a notification on and says that it was taken.
pub(super) async fn deliver(mut running: Running) -> Result<Response<Body>, Refusal> {
    match running.next().await {
        Some(Err(error)) => Err(explain(&*error).into()),
        _ => Ok(bare(StatusCode::ACCEPTED)),
    }
}

pub(super) fn json(status: StatusCode, message: impl Into<Message>) -> Response<Body> {
    let mut response = Response::new(Body::from(message.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn event_stream(events: impl WriteEvents + 'static, keep_alive: Duration) -> Response<Body> {
    let mut response = Response::new(Body::events(events, keep_alive));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would otherwise collect the stream before it sends anything.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
