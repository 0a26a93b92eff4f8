use super::{
    head::{Framing, Head, TELLING, digits},
    line,
};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, header};
use std::ops::Range;

/// The longest head that is remembered, in bytes: what clients send with ordinary tokens.
const LONGEST: usize = 2 << 10;
/// A client whose heads differ so often in a row is not worth another copy.
const MOST_MISSES: u8 = 4;

/// The last head of a client that posts, to be compared with the next one.
///
/// Over a connection that is kept, a client says the same with each call but for the length of the body. To see that costs a
/// tenth of what it costs to read it. Where other values differ, as the name of a tool does, or the place of a call in a trace,
/// those alone are read.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    last: Option<Box<Last>>,
    /// How many heads in a row were read as a whole.
    misses: u8,
}

#[derive(Debug)]
struct Last {
    text: Bytes,
    /// Where in the text the length of the body stands.
    length: Range<usize>,
    /// The headers in their order, and where each stands in the text.
    names: Vec<HeaderName>,
    places: Vec<Place>,
    head: Head,
}

/// Where the line of a header begins, where its value stands, and where the next line begins.
#[derive(Debug)]
struct Place {
    start: usize,
    value: Range<usize>,
    end: usize,
}

impl Repeated {
    /// The head at the beginning of `buffer`, if all of it is there and it is the last one again.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Option<Head> {
        // Looked at before anything is read, too.
        let last = &mut **self.last.as_mut().filter(|_| !buffer.is_empty())?;
        let end = last.again(buffer).or_else(|| last.alike(buffer))?;
        self.misses = 0;
        buffer.advance(end);
        Some(last.head.clone())
    }

    #[cfg(test)]
    pub(super) fn is_some(&self) -> bool {
        self.last.is_some()
    }

    #[cfg(test)]
    pub(super) fn misses(&self) -> u8 {
        self.misses
    }

    /// Remembers a head that was read from `text`.
    pub(super) fn put(&mut self, text: &Bytes, head: &Head) {
        self.misses = self.misses.saturating_add(1);
        // A client that asks once and leaves is not worth it either.
        let is_worth_it = (2..=MOST_MISSES).contains(&self.misses) && text.len() <= LONGEST;
        self.last = if is_worth_it { Last::of(text, head).map(Box::new) } else { None };
    }
}

impl Last {
    fn of(text: &Bytes, head: &Head) -> Option<Self> {
        let headers = &head.parts.headers;
        // Of a name that stands there twice it could not be told which of the two is another now.
        if head.parts.method != Method::POST || head.expects || headers.len() != headers.keys_len() {
            return None;
        }
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            // A part of the text, so that the addresses tell where it stands.
            let at = (value.as_bytes().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            let value = at..at + value.len();
            let start = memchr::memrchr(b'\n', text.get(..value.start)?)? + 1;
            let end = value.end + memchr::memchr(b'\n', text.get(value.end..)?)? + 1;
            Some((name.clone(), Place { start, value, end }))
        };
        let mut lines = headers.iter().map(line).collect::<Option<Vec<_>>>()?;
        lines.sort_unstable_by_key(|(_, place)| place.start);
        let length = lines.iter().find(|(name, _)| *name == header::CONTENT_LENGTH)?.1.value.clone();
        canonical(&text[length.clone()])?;
        let (names, places) = lines.into_iter().unzip();
        Some(Self { text: text.clone(), length, names, places, head: head.clone() })
    }

    /// Takes the same head but for the length of the body, and says where it ends.
    fn again(&mut self, buffer: &[u8]) -> Option<usize> {
        let Self { text, length, .. } = self;
        let rest = buffer.strip_prefix(&text[..length.start])?;
        let (number, rest) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit())?);
        rest.strip_prefix(&text[length.end..])?;
        let end = text.len() - length.len() + number.len();
        self.set_length(number)?;
        Some(end)
    }

    fn set_length(&mut self, number: &[u8]) -> Option<()> {
        let Head { parts, framing, .. } = &mut self.head;
        let body = Framing::Length(canonical(number)?);
        if *framing != body {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_bytes(number).ok()?);
            *framing = body;
        }
        Some(())
    }

    /// Takes a head with the same first line and the same headers in the same order, of which some say something else, and says
    /// where it ends. The next one is compared with this one.
    #[inline(never)]
    fn alike(&mut self, buffer: &[u8]) -> Option<usize> {
        let buffer = &buffer[..buffer.len().min(LONGEST)];
        let first = self.places.first()?.start;
        buffer.strip_prefix(&self.text[..first])?;
        let (mut places, mut length, mut others) = (Vec::with_capacity(self.places.len()), 0..0, Vec::new());
        let mut at = first;
        for (name, was) in self.names.iter().zip(&self.places) {
            let rest = &buffer[at..];
            let is_same = rest.starts_with(&self.text[was.start..was.end]);
            let place = match is_same {
                true => Place { start: at, value: moved(&was.value, was.start, at), end: at + was.end - was.start },
                false => was.of_other(name, &self.text, rest, at)?,
            };
            at = place.end;
            if *name == header::CONTENT_LENGTH {
                length = place.value.clone();
            } else if !is_same {
                others.push((name.clone(), HeaderValue::from_bytes(&buffer[place.value.clone()]).ok()?));
            }
            places.push(place);
        }
        buffer[at..].strip_prefix(b"\r\n")?;
        self.set_length(&buffer[length.clone()])?;
        for (name, value) in others {
            self.head.parts.headers.insert(name, value);
        }
        (self.places, self.length, self.text) = (places, length, Bytes::copy_from_slice(&buffer[..at + 2]));
        Some(at + 2)
    }
}

impl Place {
    /// That of the same header at the beginning of `rest`, which stands `at` in its text, with another value.
    fn of_other(&self, name: &HeaderName, text: &[u8], rest: &[u8], at: usize) -> Option<Self> {
        let colon = name.as_str().len();
        rest.strip_prefix(&text[self.start..=self.start + colon])?;
        let end = memchr::memchr(b'\n', rest)?.checked_sub(1)?;
        if rest[end] != b'\r' || TELLING.contains(name) {
            return None;
        }
        let value = moved(&line::value(&rest[..end], colon), 0, at);
        Some(Self { start: at, value, end: at + end + 2 })
    }
}

fn moved(range: &Range<usize>, from: usize, to: usize) -> Range<usize> {
    range.start - from + to..range.end - from + to
}

/// A number that is written in one way only, so that equal numbers are equal headers.
fn canonical(number: &[u8]) -> Option<u64> {
    digits(number).filter(|_| number == b"0" || !number.starts_with(b"0"))
}

#[cfg(test)]
mod tests {
    use super::super::head::Heads;
    use super::*;
    use proptest::prelude::*;

    fn head(length: &str, more: &str) -> String {
        format!("POST /mcp HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\naccept: */*\r\n{more}\r\n")
    }

    /// What a connection and one without a memory read: they must agree.
    fn both(heads: &mut Heads, text: &str) -> Option<Head> {
        let (mut one, mut other) = (BytesMut::from(text), BytesMut::from(text));
        let (remembers, forgets) = (heads.take(&mut one), Heads::default().take(&mut other));
        assert_eq!(format!("{remembers:?}"), format!("{forgets:?}"), "{text}");
        assert_eq!(one, other, "{text}");
        remembers.ok().flatten()
    }

    #[test]
    fn a_head_that_is_repeated_reads_as_if_it_were_the_first() {
        let mut heads = Heads::default();
        for length in ["5", "5", "5", "7", "7", "12345", "0", "007", "7", "007", "5", "5", "5"] {
            let head = both(&mut heads, &format!("{}body", head(length, ""))).unwrap();
            assert_eq!(head.parts.headers[header::CONTENT_LENGTH], length);
            assert_eq!(head.framing, Framing::Length(length.parse().unwrap()));
        }
        assert!(heads.remembers());
    }

    #[test]
    fn of_a_head_with_other_values_those_are_read() {
        let mut heads = Heads::default();
        let texts = [
            "a: 1\r\nb: x",
            "a: 2\r\nb: x",
            "a:2 \r\nb: x",
            "a: \t long one \t\r\nb:",
            "a:\r\nb: \u{e9}",
            "a: 1\r\nb: x",
        ];
        for more in texts {
            for length in ["5", "12345", "12345"] {
                let is_known = heads.remembers();
                let read = both(&mut heads, &format!("{}body", head(length, &format!("{more}\r\n")))).unwrap();
                assert_eq!(read.parts.headers[header::CONTENT_LENGTH], length);
                assert_eq!(heads.misses() == 0, is_known, "{more} is read alone");
            }
        }
        assert!(heads.remembers());
        let other = |name: &str, value: &str| {
            let mut heads = Heads::default();
            for value in ["a", value, "a"] {
                both(
                    &mut heads,
                    &format!("POST / HTTP/1.1\r\nhost: b\r\n{name}: {value}\r\ncontent-length: 1\r\n\r\n"),
                );
            }
            heads.misses()
        };
        assert_eq!([other("accept", "b"), other("connection", "close"), other("expect", "100-continue")], [0, 3, 3]);
    }

    proptest! {
        /// What is remembered of the heads before changes nothing, whatever they were.
        #[test]
        fn heads_read_as_if_each_were_the_first(texts in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec![
                "host: a\r\n", "host: b\r\n", "content-length: 2\r\n", "content-length:12\r\n", "x: y\r\n", "x: z \r\n", "x:\r\n", "X: y\r\n",
                "x: \0\r\n", "x: y\n", "x: a\rb\r\n", "expect: 100-continue\r\n", "expect: no\r\n", "connection: close\r\n", "connection: a\r\n",
                "transfer-encoding: chunked\r\n", "transfer-encoding: gzip\r\n",
            ]), 0..4), 3..9),
            common in prop::sample::select(vec!["host: a\r\ncontent-length: 4\r\n", "host: a\r\n", ""]),
        ) {
            let mut heads = Heads::default();
            for lines in texts {
                both(&mut heads, &format!("POST / HTTP/1.1\r\n{common}{}\r\nbody", lines.concat()));
            }
        }
    }

    #[test]
    fn a_head_that_differs_anywhere_is_read_anew() {
        let known = head("5", "");
        for at in 0..known.len() {
            for byte in [b'x', b'1', b' ', b'\r', b'\n', 0] {
                let mut heads = Heads::default();
                for _ in 0..3 {
                    both(&mut heads, &known).unwrap();
                }
                let mut other = known.clone().into_bytes();
                other[at] = byte;
                both(&mut heads, &String::from_utf8(other).unwrap());
            }
            let mut heads = Heads::default();
            for _ in 0..3 {
                both(&mut heads, &known).unwrap();
            }
            both(&mut heads, &known[..at]);
        }
        for bad in ["", "-1", "+1", "5 5", "5,5", "18446744073709551616"] {
            let mut heads = Heads::default();
            for _ in 0..3 {
                both(&mut heads, &known).unwrap();
            }
            assert!(both(&mut heads, &head(bad, "")).is_none(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_kept_of_one_who_asks_once_or_never_the_same() {
        let mut heads = Heads::default();
        both(&mut heads, &head("5", "")).unwrap();
        assert!(!heads.remembers());
        for n in 0..2 * MOST_MISSES {
            both(&mut heads, &head("5", &format!("trace-{n}: 1\r\n"))).unwrap();
        }
        assert!(!heads.remembers());
        let mut heads = Heads::default();
        for _ in 0..3 {
            both(&mut heads, &head("5", &format!("long: {}\r\n", "x".repeat(LONGEST)))).unwrap();
        }
        assert!(!heads.remembers());
    }
}
