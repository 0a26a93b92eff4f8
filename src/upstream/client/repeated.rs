use super::head::{Framing, Head, number};
use crate::chunked;
use bytes::BytesMut;
use http::StatusCode;
use std::ops::Range;

/// The longest head that is remembered, in bytes: what servers say before an ordinary answer.
const LONGEST: usize = 1 << 10;

/// The last head of a server on a connection, to be compared with the next one.
///
/// A server says the same before each answer but for its length and, once a second, the time, and the same before each stream.
/// To see that costs a quarter of what it costs to read it.
#[derive(Debug, Default)]
pub(super) struct Repeated(Option<Box<Last>>);

#[derive(Debug)]
struct Last {
    text: Vec<u8>,
    /// Where in the text the length of the body stands; that of a body in chunks nowhere.
    length: Option<Range<usize>>,
    status: StatusCode,
    kind: Option<Range<usize>>,
    keeps_alive: bool,
}

impl Repeated {
    /// The head at the beginning of `buffer`, if all of it is there and it is the last one again.
    pub(super) fn take(&self, buffer: &mut BytesMut) -> Option<Head> {
        let Last { text, length, status, kind, keeps_alive } = &**self.0.as_ref()?;
        let Some(length) = length else {
            buffer.strip_prefix(&text[..])?;
            let (text, framing) = (buffer.split_to(text.len()).freeze(), Framing::Chunked(chunked::State::default()));
            let (status, kind) = (*status, kind.clone());
            return Some(Head { status, text, kind, length: None, framing, keeps_alive: *keeps_alive });
        };
        let rest = buffer.strip_prefix(&text[..length.start])?;
        let (digits, rest) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit())?);
        rest.strip_prefix(&text[length.end..])?;
        let framing = Framing::Length(number(digits)?);
        let moved = |at: usize| if at < length.end { at } else { at - length.len() + digits.len() };
        let kind = kind.clone().map(|kind| moved(kind.start)..moved(kind.end));
        let (length, end) = (length.start..length.start + digits.len(), moved(text.len()));
        let text = buffer.split_to(end).freeze();
        Some(Head { status: *status, text, kind, length: Some(length), framing, keeps_alive: *keeps_alive })
    }

    /// Remembers a head that says how its body ends. Of other statuses than 200 that may mean something else.
    pub(super) fn put(&mut self, head: &Head) {
        let length = head.length.clone();
        let says_one = match head.framing {
            Framing::Length(_) => length.is_some(),
            Framing::Chunked(_) => length.is_none(),
            Framing::Close => false,
        };
        if !says_one || head.status != StatusCode::OK || head.text.len() > LONGEST {
            return;
        }
        // The next one takes the memory of this one.
        let mut text = self.0.take().map_or_else(Vec::new, |last| last.text);
        text.clear();
        text.extend_from_slice(&head.text);
        let (status, kind, keeps_alive) = (head.status, head.kind.clone(), head.keeps_alive);
        self.0 = Some(Box::new(Last { text, length, status, kind, keeps_alive }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::Heads;
    use super::*;

    /// What a connection reads that remembers, and one that does not: they must agree.
    fn both(repeated: &mut Repeated, text: &str) -> Option<Head> {
        let (mut one, mut other) = (BytesMut::from(text), BytesMut::from(text));
        let remembered = repeated.take(&mut one);
        let read = Heads::default().take(&mut other).ok().flatten();
        if let Some(remembered) = remembered {
            assert_eq!(format!("{remembered:?}"), format!("{:?}", read.as_ref().unwrap()), "{text}");
            assert_eq!(one, other, "{text}");
            return Some(remembered);
        }
        if let Some(head) = &read {
            repeated.put(head);
        }
        None
    }

    fn head(length: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nserver: a\r\ncontent-length: {length}\r\ncontent-type: text/plain\r\n\r\nbody")
    }

    #[test]
    fn a_head_that_is_repeated_reads_as_if_it_were_the_first() {
        let mut repeated = Repeated::default();
        assert!(both(&mut repeated, &head("4")).is_none());
        for length in ["4", "4", "12345", "007", "0", "4"] {
            let head = both(&mut repeated, &head(length)).expect(length);
            assert_eq!(head.framing, Framing::Length(length.parse().unwrap()));
            assert_eq!(&head.text[head.kind.unwrap()], b"text/plain");
        }
    }

    #[test]
    fn the_head_of_a_stream_is_remembered_as_it_is() {
        let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n4\r\n";
        let mut repeated = Repeated::default();
        assert!(both(&mut repeated, stream).is_none());
        for _ in 0..2 {
            let head = both(&mut repeated, stream).unwrap();
            assert_eq!((&head.text[head.kind.unwrap()], head.length), (&b"text/event-stream"[..], None));
        }
        assert!(both(&mut repeated, &head("4")).is_none());
        assert!(both(&mut repeated, stream).is_none(), "another was the last");
        for at in 0..stream.len() - 3 {
            assert!(both(&mut repeated, &stream[..at]).is_none(), "{at} bytes");
        }
    }

    #[test]
    fn a_head_that_differs_anywhere_is_read_anew() {
        let known = head("4");
        let end = known.len() - "body".len();
        for at in 0..end {
            for byte in [b'x', b'1', b' ', b'\r', b'\n', 0] {
                let mut repeated = Repeated::default();
                both(&mut repeated, &known);
                let mut other = known.clone().into_bytes();
                other[at] = byte;
                both(&mut repeated, &String::from_utf8(other).unwrap());
            }
            let mut repeated = Repeated::default();
            both(&mut repeated, &known);
            assert!(both(&mut repeated, &known[..at]).is_none(), "{at} bytes");
        }
        for bad in ["", "-1", "+1", "5 5", "18446744073709551616"] {
            let mut repeated = Repeated::default();
            both(&mut repeated, &known);
            assert!(both(&mut repeated, &head(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_kept_where_a_length_may_mean_something_else() {
        for text in [
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\n".to_owned(),
            "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\nlong: {}\r\ncontent-length: 4\r\n\r\n", "x".repeat(LONGEST)),
        ] {
            let mut repeated = Repeated::default();
            assert!(both(&mut repeated, &text).is_none() && both(&mut repeated, &text).is_none(), "{text}");
        }
    }
}
