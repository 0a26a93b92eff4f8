use crate::{
    BoxError,
    json::{self, Malformed, Message},
    upstream::{
        client::{Body, Events, Gather, Response},
        error::{Protocol, TooLarge},
    },
};
use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The messages of a response, in either of the two forms a server may choose.
#[derive(Debug)]
pub(super) struct Messages {
    source: Source,
    /// What a batch held beyond its first message.
    more: VecDeque<Message>,
    /// Where the stream can be resumed.
    pub(super) last_event_id: Option<HeaderValue>,
    /// When the server wants to be asked again.
    pub(super) retry: Option<Duration>,
}

#[derive(Debug)]
enum Source {
    Events(Events),
    Documents(Documents),
}

impl Messages {
    /// Reads the body of a successful response.
    ///
    /// # Errors
    ///
    /// [`Protocol`] if its content type is neither JSON nor an event stream.
    pub(super) fn read(response: Response, limit: usize) -> Result<Self, BoxError> {
        let source = match response.media_type() {
            Some(kind) if kind.eq_ignore_ascii_case(b"application/json") => {
                Source::Documents(Documents { body: response.into_body(), limit, text: Gather::default() })
            }
            Some(kind) if kind.eq_ignore_ascii_case(b"text/event-stream") => {
                Source::Events(Events::new(response.into_body(), limit))
            }
            _ => return Err(Protocol("the answer is neither JSON nor an event stream".into()).into()),
        };
        Ok(Self { source, more: VecDeque::new(), last_event_id: None, retry: None })
    }

    /// Nothing more is wanted: where the end of the response comes soon, its connection is used again.
    pub(super) fn finish(&mut self) {
        match &mut self.source {
            Source::Events(events) => events.finish(),
            Source::Documents(documents) => documents.body.finish(),
        }
    }

    /// Whether more messages may come after silence, as in an event stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.source, Source::Events(_))
    }

    /// The next message, `None` at the end. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, BoxError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next).
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, BoxError>> {
        loop {
            if let Some(message) = self.more.pop_front() {
                return Poll::Ready(Ok(Some(message)));
            }
            let text = match &mut self.source {
                // Its future loses nothing when it is dropped, so it need not be kept.
                Source::Documents(documents) => match ready!(pin!(documents.next()).poll(cx))? {
                    Some(text) => text,
                    None => return Poll::Ready(Ok(None)),
                },
                Source::Events(events) => {
                    let Some(event) = ready!(events.poll_next(cx))? else { return Poll::Ready(Ok(None)) };
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
            match Message::parse(text.clone()) {
                Ok(message) => return Poll::Ready(Ok(Some(message))),
                Err(fault) => self.more = several(&text).map_err(|_| broken(&fault))?,
            }
        }
    }
}

fn broken(fault: &Malformed) -> Protocol {
    Protocol(format!("a message is no JSON-RPC: {fault}").into())
}

/// The messages of a text that is not one: documents one after another, batches of revision 2025-03-26 among them.
fn several(text: &Bytes) -> Result<VecDeque<Message>, Malformed> {
    let mut messages = VecDeque::new();
    for document in json::documents(text)? {
        match json::elements(&document, json::MAX_BATCH)? {
            Some(batch) => messages.extend(batch.into_iter().map(Message::parse).collect::<Result<Vec<_>, _>>()?),
            None => messages.push_back(Message::parse(document)?),
        }
    }
    Ok(messages)
}

/// A JSON body. Some servers write several documents into one, a line each, where an event stream should be; each is
/// taken as soon as its line is complete.
#[derive(Debug)]
struct Documents {
    body: Body,
    limit: usize,
    text: Gather,
}

/// A line break after this many bytes is looked at only when another document follows it; so the text of a large
/// document is not parsed at every line break.
const EAGER: usize = 64 << 10;

impl Documents {
    async fn next(&mut self) -> Result<Option<Bytes>, BoxError> {
        loop {
            // One document whose length is known comes as a whole.
            if self.text.len() == 0 && self.body.known().is_some() {
                let whole = self.body.whole(self.limit).await?;
                return Ok((!whole.trim_ascii().is_empty()).then_some(whole));
            }
            let Some(data) = self.body.piece().await? else {
                let rest = self.text.take(self.text.len());
                return Ok((!rest.trim_ascii().is_empty()).then_some(rest));
            };
            let seen = self.text.len();
            if seen + data.len() > self.limit {
                return Err(TooLarge { limit: self.limit }.into());
            }
            self.text.push(data);
            if let Some(end) = boundary(self.text.as_slice(), seen) {
                return Ok(Some(self.text.take(end)));
            }
        }
    }
}

/// Where the last complete document of `text` ends, if another begins behind it or may.
///
/// Inside a document a `}` at a line's end is never followed by a line that begins with `{`: there would have to be a
/// comma, and line breaks in strings are escaped.
fn boundary(text: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let between = [&b"}\n{"[..], b"}\r\n{"];
    let last = between.iter().filter_map(|b| memmem::rfind(&text[from..], b).map(|at| from + at + b.len() - 1)).max();
    let whole = || {
        let closed = text.ends_with(b"\n") && text.trim_ascii_end().ends_with(b"}");
        let documents = || serde_json::Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
        (closed && text.len() <= EAGER && documents().all(|d| d.is_ok())).then_some(text.len())
    };
    whole().or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_where_the_next_begins_or_a_line_is_complete() {
        let end = |text: &str| boundary(text.as_bytes(), 0);
        assert_eq!(end("{\"a\":1}"), None);
        assert_eq!(end("{\"a\":1}\n"), Some(8));
        assert_eq!(end("{\"a\":1}\n{\"b\""), Some(8));
        assert_eq!(end("{\"a\":1}\r\n{\"b\":2}\r\n{"), Some(18));
        assert_eq!(end("{\"a\":[{\"b\":1}\n"), None, "a line of a larger document");
        assert_eq!(end("[\n{\n}\n"), None);
        assert_eq!(boundary(b"{}\n{", 3), Some(3), "a boundary that straddles two chunks");
        let large = format!("{{\"a\":\"{}\"}}\n", "x".repeat(EAGER));
        assert_eq!(end(&large), None);
        assert_eq!(end(&(large.clone() + "{")), Some(large.len()));
    }

    #[test]
    fn a_batch_among_documents_is_taken_apart() {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
        let text = format!("{note}\n[{note},{note}]\n");
        assert_eq!(several(&text.into()).unwrap().len(), 3);
        assert_eq!(several(&Bytes::new()).unwrap().len(), 0);
        assert!(several(&Bytes::from_static(b"{} x")).is_err());
    }
}
