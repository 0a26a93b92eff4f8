use super::{
    document::{Document, Documents},
    streamed::{Streamed, Told},
};
use crate::{
    BoxError,
    json::{self, Id, Malformed, Members, Message},
    upstream::{client::Response, error::Protocol},
};
use bytes::Bytes;
use http::HeaderValue;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// What comes of a response.
#[derive(Debug)]
pub(super) enum Arrival {
    Message(Message),
    /// A piece of a result that is passed on as it arrives: all of it but its last bracket.
    Part(Bytes),
    /// The end of the answer that the parts were of, which has the result's members.
    End {
        id: Option<Id>,
        members: Members,
    },
}

/// The messages of a response, in either of the two forms a server may choose.
#[derive(Debug)]
pub(super) struct Messages {
    source: Source,
    /// What is left of a text that held more than one message.
    more: Several,
    /// Where the stream can be resumed.
    pub(super) last_event_id: Option<HeaderValue>,
    /// When the server wants to be asked again.
    pub(super) retry: Option<Duration>,
}

#[derive(Debug)]
enum Source {
    /// In a box: a stream is read for longer than it takes to make one, and whatever holds messages would have room for it.
    Events(Box<Streamed>),
    Documents(Documents),
}

impl Messages {
    /// Reads the body of a successful response. A large result that answers the request `in_parts` comes so.
    ///
    /// # Errors
    ///
    /// [`Protocol`] if its content type is neither JSON nor an event stream.
    pub(super) fn read(response: Response, limit: usize, in_parts: Option<u64>) -> Result<Self, BoxError> {
        let source = match response.media_type() {
            Some(kind) if kind.eq_ignore_ascii_case(b"application/json") => {
                Source::Documents(Documents::new(response.into_body(), limit, in_parts))
            }
            Some(kind) if kind.eq_ignore_ascii_case(b"text/event-stream") => {
                Source::Events(Box::new(Streamed::new(response.into_body(), limit, in_parts)))
            }
            _ => return Err(Protocol("the answer is neither JSON nor an event stream".into()).into()),
        };
        Ok(Self { source, more: Several::default(), last_event_id: None, retry: None })
    }

    /// Nothing more is wanted: where the end of the response comes soon, its connection is used again.
    pub(super) fn finish(&mut self) {
        match &mut self.source {
            Source::Events(events) => events.finish(),
            Source::Documents(documents) => documents.finish(),
        }
    }

    /// Whether more messages may come after silence, as in an event stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.source, Source::Events(_))
    }

    /// Whether all that has come was taken, as far as is known.
    pub(super) fn is_drained(&self) -> bool {
        match &self.source {
            Source::Events(events) => self.more.is_over() && events.is_drained(),
            Source::Documents(_) => false,
        }
    }

    /// The next message, `None` at the end. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Arrival>, BoxError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next).
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Arrival>, BoxError>> {
        loop {
            if let Some(message) = self.more.next().map_err(|fault| broken(&fault))? {
                return Poll::Ready(Ok(Some(Arrival::Message(message))));
            }
            let text = match &mut self.source {
                // Its future loses nothing when it is dropped, so it need not be kept.
                Source::Documents(documents) => match ready!(pin!(documents.next()).poll(cx))? {
                    Some(Document::Whole(text)) => text,
                    Some(Document::Piece(arrival)) => return Poll::Ready(Ok(Some(arrival))),
                    None => return Poll::Ready(Ok(None)),
                },
                Source::Events(events) => {
                    let event = match ready!(events.poll_next(cx))? {
                        Some(Told::Event(event)) => event,
                        Some(Told::Piece(arrival)) => {
                            // Who has part of an answer cannot be given another.
                            self.last_event_id = None;
                            return Poll::Ready(Ok(Some(arrival)));
                        }
                        None => return Poll::Ready(Ok(None)),
                    };
                    self.retry = event.retry.or(self.retry);
                    let is_message = event.is_message();
                    if let Some(id) = event.id {
                        // An id that fits in no header cannot be told to the server.
                        let header = HeaderValue::from_bytes(id.as_bytes()).ok();
                        self.last_event_id = header.filter(|_| !id.is_empty());
                    }
                    if !is_message || event.data.is_empty() {
                        continue;
                    }
                    event.data
                }
            };
            match Message::of_server(text.clone()) {
                Ok(message) => return Poll::Ready(Ok(Some(Arrival::Message(message)))),
                Err(fault) => self.more = Several::begin(&text).map_err(|_| broken(&fault))?,
            }
        }
    }
}

pub(super) fn broken(fault: &Malformed) -> Protocol {
    Protocol(format!("a message is no JSON-RPC: {fault}").into())
}

/// The messages of a text that is not one: documents one after another, batches of revision 2025-03-26 among them.
///
/// They are parsed as they are taken, a batch at once, so that the text is all that a large one costs.
#[derive(Debug, Default)]
struct Several {
    documents: json::Documents,
    /// What the last document held that was a batch.
    batch: VecDeque<Message>,
}

impl Several {
    /// Fails if it does not begin with a message.
    #[cold]
    fn begin(text: &Bytes) -> Result<Self, Malformed> {
        let mut several = Self { documents: json::documents(text), batch: VecDeque::new() };
        if let Some(first) = several.next()? {
            several.batch.push_front(first);
        }
        Ok(several)
    }

    fn is_over(&self) -> bool {
        self.batch.is_empty() && self.documents.is_over()
    }

    fn next(&mut self) -> Result<Option<Message>, Malformed> {
        loop {
            if let Some(message) = self.batch.pop_front() {
                return Ok(Some(message));
            }
            let Some(document) = self.documents.next().transpose()? else { return Ok(None) };
            match json::elements(&document, json::MAX_BATCH)? {
                Some(batch) => self.batch = batch.into_iter().map(Message::of_server).collect::<Result<_, _>>()?,
                None => return Message::of_server(document).map(Some),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;

    fn count(text: &str) -> Result<usize, Malformed> {
        let (mut several, mut count) = (Several::begin(&Bytes::copy_from_slice(text.as_bytes()))?, 0);
        while several.next()?.is_some() {
            count += 1;
        }
        assert!(several.is_over());
        Ok(count)
    }

    #[test]
    fn a_batch_among_documents_is_taken_apart() {
        assert_eq!(count(&format!("{NOTE}\n[{NOTE},{NOTE}]\n")).unwrap(), 3);
        assert_eq!(count(&format!("[{NOTE},{NOTE}] [] {NOTE}")).unwrap(), 3);
        assert_eq!(count("").unwrap(), 0);
        assert!(count("{} x").is_err() && count(&format!("{NOTE} x")).is_err());
    }

    #[test]
    fn of_however_many_documents_one_is_held_at_a_time() {
        let many = 4 * json::MAX_BATCH;
        let text = Bytes::from(format!("{NOTE}\n").repeat(many));
        let mut several = Several::begin(&text).unwrap();
        for _ in 0..many {
            assert!(several.next().unwrap().is_some() && several.batch.is_empty());
        }
        assert!(several.is_over());
        // One that is no message is the end, whatever comes behind it.
        assert!(Several::begin(&Bytes::from(format!("{} x", "1 ".repeat(many)))).is_err());
        assert!(Several::begin(&format!("[{}{NOTE}]", format!("{NOTE},").repeat(json::MAX_BATCH)).into()).is_err());
    }
}
