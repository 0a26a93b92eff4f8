use super::{body::Arrival, parts::Parts};
use crate::{
    BoxError,
    upstream::{
        client::{Body, Gather},
        error::TooLarge,
    },
};
use bytes::Bytes;
use memchr::memmem;

/// A JSON body. Some servers write several documents into one, a line each, where an event stream should be; each is
/// taken as soon as its line is complete.
#[derive(Debug)]
pub(super) struct Documents {
    body: Body,
    limit: usize,
    text: Gather,
    /// The request whose result may be passed on as it arrives; `None` once it is known that it cannot be.
    in_parts: Option<u64>,
    /// In a box, because few answers are so large, and what reads one is moved.
    parts: Option<Box<Parts>>,
}

/// What comes of a JSON body.
#[derive(Debug)]
pub(super) enum Document {
    Whole(Bytes),
    Piece(Arrival),
}

/// A message is waited for up to so many bytes; the result in a longer one is passed on as it arrives, where it may be. Few
/// answers are longer, and one that is not is written at once, its length in its head.
pub(super) const WAITED_FOR: usize = 1 << 20;

/// A line break after this many bytes is looked at only when another document follows it; so the text of a large
/// document is not parsed at every line break.
const EAGER: usize = 64 << 10;

fn document(text: Bytes) -> Option<Document> {
    (!text.trim_ascii().is_empty()).then_some(Document::Whole(text))
}

/// What one read may bring beyond that, in bytes.
const READ: usize = 128 << 10;

impl Documents {
    pub(super) fn new(body: Body, limit: usize, in_parts: Option<u64>) -> Self {
        Self { body, limit, text: Gather::default(), in_parts, parts: None }
    }

    /// Nothing more is wanted.
    pub(super) fn finish(&mut self) {
        self.body.finish();
    }

    /// The next document, or the next piece of one; `None` at the end. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Document>, BoxError> {
        loop {
            if let Some(parts) = &mut self.parts {
                return parts.next(&mut self.body).await.map(|arrival| arrival.map(Document::Piece));
            }
            // One document whose length is known comes as a whole.
            if self.text.len() == 0 && self.body.known().is_some_and(|length| self.is_awaited(length)) {
                return self.body.whole(self.limit).await.map(document);
            }
            if self.text.len() == 0 && self.in_parts.is_some() && self.body.known().is_some() {
                self.text.reserve(WAITED_FOR + READ);
            }
            let Some(data) = self.body.piece().await? else {
                return Ok(document(self.text.take(self.text.len())));
            };
            let seen = self.text.len();
            if seen + data.len() > self.limit {
                return Err(TooLarge { limit: self.limit }.into());
            }
            self.text.push(data);
            if let Some(end) = boundary(self.text.as_slice(), seen) {
                return Ok(document(self.text.take(end)));
            }
            if self.text.len() >= WAITED_FOR
                && let Some(id) = self.in_parts.take()
            {
                self.begin(id)?;
            }
        }
    }

    /// Whether a body of this length is read before anything is passed on. One that is too long is refused at once.
    fn is_awaited(&self, length: u64) -> bool {
        self.in_parts.is_none() || length <= WAITED_FOR as u64 || length > self.limit as u64
    }

    /// Passes on what has arrived, if it is the beginning of a result.
    fn begin(&mut self, id: u64) -> Result<(), BoxError> {
        let text = self.text.take(self.text.len());
        self.parts = Parts::begin(&text, id, self.limit)?;
        if self.parts.is_none() {
            self.text.push(text);
        }
        Ok(())
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
}
