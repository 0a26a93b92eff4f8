use super::{body::Arrival, parts::Parts};
use crate::{
    BoxError,
    upstream::{
        client::{Body, Gather},
        error::TooLarge,
    },
};
use bytes::Bytes;
use memchr::{memchr2, memmem};

/// A JSON body. Some servers write several documents into one, a line each, where an event stream should be; each is
/// taken as soon as its line is complete.
#[derive(Debug)]
pub(super) struct Documents {
    body: Body,
    limit: usize,
    text: Gather,
    /// Those of the text, up to the last line break that was looked at.
    brackets: Brackets,
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

/// A line break after this many bytes is looked at only when another document follows it: the text of a large document is
/// not read twice.
const EAGER: usize = 64 << 10;

fn document(text: Bytes) -> Option<Document> {
    (!text.trim_ascii().is_empty()).then_some(Document::Whole(text))
}

/// What one read may bring beyond that, in bytes.
const READ: usize = 128 << 10;

impl Documents {
    pub(super) fn new(body: Body, limit: usize, in_parts: Option<u64>) -> Self {
        Self { body, limit, text: Gather::default(), brackets: Brackets::default(), in_parts, parts: None }
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
            if let Some(end) = boundary(self.text.as_slice(), seen, &mut self.brackets) {
                self.brackets = Brackets::default();
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
fn boundary(text: &[u8], seen: usize, brackets: &mut Brackets) -> Option<usize> {
    if text.ends_with(b"\n") && text.len() <= EAGER && brackets.are_closed(text) {
        return Some(text.len());
    }
    let from = seen.saturating_sub(3);
    let between = [&b"}\n{"[..], b"}\r\n{"];
    between.iter().filter_map(|b| memmem::rfind(&text[from..], b).map(|at| from + at + b.len() - 1)).max()
}

/// The brackets of a text that arrives in pieces. Each byte is looked at once, however many they are.
#[derive(Debug, Default)]
struct Brackets {
    /// Up to where they are counted; beyond the text where it ends within an escape.
    at: usize,
    open: usize,
    in_string: bool,
    /// The last byte outside of strings that is no white space.
    last: u8,
}

impl Brackets {
    /// Whether the text may end here: with an object, and none open.
    fn are_closed(&mut self, text: &[u8]) -> bool {
        while let Some(&byte) = text.get(self.at) {
            if self.in_string {
                self.at += match memchr2(b'"', b'\\', &text[self.at..]) {
                    Some(run) if text[self.at + run] == b'\\' => run + 2,
                    Some(run) => {
                        self.in_string = false;
                        run + 1
                    }
                    None => text.len() - self.at,
                };
                continue;
            }
            match byte {
                b'{' | b'[' => self.open += 1,
                b'}' | b']' => self.open = self.open.saturating_sub(1),
                b'"' => self.in_string = true,
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.last = byte;
            }
            self.at += 1;
        }
        self.open == 0 && !self.in_string && self.last == b'}'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_where_the_next_begins_or_a_line_is_complete() {
        let end = |text: &str| boundary(text.as_bytes(), 0, &mut Brackets::default());
        assert_eq!(end("{\"a\":1}"), None);
        assert_eq!(end("{\"a\":1}\n"), Some(8));
        assert_eq!(end("{\"a\":1}\n{\"b\""), Some(8));
        assert_eq!(end("{\"a\":1}\r\n{\"b\":2}\r\n{"), Some(18));
        assert_eq!(end("{\"a\":[{\"b\":1}\n"), None, "a line of a larger document");
        assert_eq!(end("[\n{\n}\n"), None);
        assert_eq!(boundary(b"{}\n{", 3, &mut Brackets::default()), Some(3), "a boundary that straddles two chunks");
        let large = format!("{{\"a\":\"{}\"}}\n", "x".repeat(EAGER));
        assert_eq!(end(&large), None);
        assert_eq!(end(&(large.clone() + "{")), Some(large.len()));
    }

    #[test]
    fn a_line_that_is_complete_is_known_without_another_look_at_what_came_before() {
        let mut brackets = Brackets::default();
        let pieces = ["{\"a\":[{}\n", ",{\"]}\\", "\"\":\"}\"}\n", "]\n", " \n\t}", "\n"];
        let mut text = String::new();
        for (at, piece) in pieces.iter().enumerate() {
            let seen = text.len();
            text.push_str(piece);
            let end = boundary(text.as_bytes(), seen, &mut brackets);
            assert_eq!(end, (at + 1 == pieces.len()).then_some(text.len()), "{text}");
            // What was looked at may be anything now.
            if piece.ends_with('\n') {
                text = "x".repeat(text.len());
            }
        }
        assert!(Brackets::default().are_closed(b"[{}] {\"a\":\"{\"} \n"));
        for open in ["", "\n", "[{}]\n", "{\"}", "{\"\\", "[[{}]"] {
            assert!(!Brackets::default().are_closed(open.as_bytes()), "{open}");
        }
    }
}
