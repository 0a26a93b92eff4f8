use super::head::{Framing, Head, digits};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Method, header};
use std::ops::Range;

/// The longest head that is remembered, in bytes: what clients send with ordinary tokens.
const LONGEST: usize = 2 << 10;
/// A client whose heads differ so often in a row is not worth another copy.
const MOST_MISSES: u8 = 4;

/// The last head of a client that posts, to be compared with the next one.
///
/// Over a connection that is kept, a client says the same with each call but for the length of the body. To see that costs a
/// tenth of what it costs to read it.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    last: Option<Box<Last>>,
    /// How many heads in a row were not the last one.
    misses: u8,
}

#[derive(Debug)]
struct Last {
    text: Bytes,
    /// Where in the text the length of the body stands.
    length: Range<usize>,
    head: Head,
}

impl Repeated {
    /// The head at the beginning of `buffer`, if all of it is there and it is the last one again.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Option<Head> {
        let Last { text, length, head } = &mut **self.last.as_mut()?;
        let rest = buffer.strip_prefix(&text[..length.start])?;
        let (number, rest) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit())?);
        rest.strip_prefix(&text[length.end..])?;
        let end = text.len() - length.len() + number.len();
        let body = canonical(number)?;
        if head.framing != Framing::Length(body) {
            head.framing = Framing::Length(body);
            head.parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_bytes(number).ok()?);
        }
        self.misses = 0;
        let head = head.clone();
        buffer.advance(end);
        Some(head)
    }

    #[cfg(test)]
    pub(super) fn is_some(&self) -> bool {
        self.last.is_some()
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
        if head.parts.method != Method::POST || head.expects {
            return None;
        }
        // A part of the text, so that the addresses tell where it stands.
        let length = head.parts.headers.get(header::CONTENT_LENGTH)?.as_bytes();
        canonical(length)?;
        let start = (length.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let length = start..start + length.len();
        (length.end <= text.len()).then(|| Self { text: text.clone(), length, head: head.clone() })
    }
}

/// A number that is written in one way only, so that equal numbers are equal headers.
fn canonical(number: &[u8]) -> Option<u64> {
    digits(number).filter(|_| number == b"0" || !number.starts_with(b"0"))
}

#[cfg(test)]
mod tests {
    use super::super::head::Heads;
    use super::*;

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
            both(&mut heads, &head("5", &format!("trace: {n}\r\n"))).unwrap();
        }
        assert!(!heads.remembers());
        let mut heads = Heads::default();
        for _ in 0..3 {
            both(&mut heads, &head("5", &format!("long: {}\r\n", "x".repeat(LONGEST)))).unwrap();
        }
        assert!(!heads.remembers());
    }
}
