use super::{
    head::{Framing, Head, TELLING, digits},
    line,
};
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, header};
use std::{mem, ops::Range};

/// The longest head that is remembered, in bytes: what clients send with ordinary tokens.
const LONGEST: usize = 2 << 10;
/// The most heads that are remembered: a client opens its session with one, calls with another and ends it with a third, and of
/// the clients behind one proxy most are of few kinds.
const MOST: usize = 3;
/// A client whose heads differ so often in a row is not worth another copy.
const MOST_MISSES: u8 = 4;

/// The last heads of a client, to be compared with the next one.
///
/// Over a connection that is kept, a client says the same with each call but for the length of the body. To see that costs a
/// tenth of what it costs to read it. Where other values differ, as the name of a tool does, or the place of a call in a trace,
/// those alone are read.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    /// The latest first.
    #[expect(clippy::vec_box, reason = "they change places")]
    known: Vec<Box<Known>>,
    /// How many heads in a row were read as a whole.
    misses: u8,
}

#[derive(Debug)]
struct Known {
    text: Vec<u8>,
    /// Where in the text the length of the body stands, if there is one.
    length: Option<Range<usize>>,
    /// The headers in their order, and where each stands in the text.
    names: Vec<HeaderName>,
    places: Vec<Place>,
    /// Room for the places of the next one.
    spare: Vec<Place>,
    head: Head,
}

/// Where the line of a header begins, where its value stands, and where the next line begins.
#[derive(Debug)]
struct Place {
    start: usize,
    value: Range<usize>,
    end: usize,
    /// Whether the line is not that of the head before.
    is_other: bool,
}

impl Repeated {
    /// The head at the beginning of `buffer`, if all of it is there and it is a known one again.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Option<Head> {
        // Looked at before anything is read, too.
        if buffer.is_empty() {
            return None;
        }
        let again = self.find(|known| known.again(buffer));
        let (at, end) = again.or_else(|| self.find(|known| known.alike(buffer)))?;
        self.known[..=at].rotate_right(1);
        self.misses = 0;
        buffer.advance(end);
        Some(self.known[0].head.clone())
    }

    /// Which one it is, and where it ends.
    fn find(&mut self, is_it: impl Fn(&mut Known) -> Option<usize>) -> Option<(usize, usize)> {
        self.known.iter_mut().enumerate().find_map(|(at, known)| Some((at, is_it(known)?)))
    }

    #[cfg(test)]
    pub(super) fn is_some(&self) -> bool {
        !self.known.is_empty()
    }

    #[cfg(test)]
    pub(super) fn misses(&self) -> u8 {
        self.misses
    }

    /// Remembers a head that was read from `text`.
    pub(super) fn put(&mut self, text: &Bytes, head: &Head) {
        self.misses = self.misses.saturating_add(1);
        // What answers a GET may last for as long as the client does.
        if self.misses > MOST_MISSES || head.parts.method == Method::GET {
            self.known = Vec::new();
            return;
        }
        // A client that asks once and leaves is not worth it either.
        let stays = self.misses > 1 || !self.known.is_empty();
        let is_worth_it = stays && text.len() <= LONGEST;
        if let Some(known) = Some(head).filter(|_| is_worth_it).and_then(|head| Known::of(text, head)) {
            self.known.truncate(MOST - 1);
            self.known.insert(0, Box::new(known));
        }
    }
}

impl Known {
    fn of(text: &Bytes, head: &Head) -> Option<Self> {
        let headers = &head.parts.headers;
        // Of a name that stands there twice it could not be told which of the two is another now.
        if head.expects || headers.len() != headers.keys_len() || head.framing.known().is_none() {
            return None;
        }
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            // A part of the text, so that the addresses tell where it stands.
            let at = (value.as_bytes().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            let value = at..at + value.len();
            let start = memchr::memrchr(b'\n', text.get(..value.start)?)? + 1;
            let end = value.end + memchr::memchr(b'\n', text.get(value.end..)?)? + 1;
            Some((name.clone(), Place { start, value, end, is_other: false }))
        };
        let mut lines = headers.iter().map(line).collect::<Option<Vec<_>>>()?;
        lines.sort_unstable_by_key(|(_, place)| place.start);
        let length = lines.iter().find(|(name, _)| *name == header::CONTENT_LENGTH);
        let length = length.map(|(_, place)| place.value.clone());
        if let Some(length) = &length {
            canonical(&text[length.clone()])?;
        }
        let (names, places) = lines.into_iter().unzip();
        Some(Self { text: text.to_vec(), length, names, places, spare: Vec::new(), head: head.clone() })
    }

    /// Takes the same head but for the length of the body, and says where it ends.
    fn again(&mut self, buffer: &[u8]) -> Option<usize> {
        let Self { text, length, head, .. } = self;
        let Some(length) = length else { return buffer.starts_with(text).then_some(text.len()) };
        let rest = buffer.strip_prefix(&text[..length.start])?;
        let (number, rest) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit())?);
        rest.strip_prefix(&text[length.end..])?;
        let end = text.len() - length.len() + number.len();
        set_length(head, number)?;
        Some(end)
    }

    /// Takes a head with the same first line and the same headers in the same order, of which some say something else, and says
    /// where it ends. The next one is compared with this one.
    #[inline(never)]
    fn alike(&mut self, buffer: &[u8]) -> Option<usize> {
        let mut places = mem::take(&mut self.spare);
        places.clear();
        let end = self.locate(&buffer[..buffer.len().min(LONGEST)], &mut places);
        let end = end.and_then(|end| self.change(&buffer[..end], &places).map(|()| end));
        self.spare = match end {
            Some(_) => mem::replace(&mut self.places, places),
            None => places,
        };
        end
    }

    /// Where the headers of such a head stand, and where it ends.
    fn locate(&self, buffer: &[u8], places: &mut Vec<Place>) -> Option<usize> {
        let mut at = self.places.first()?.start;
        buffer.strip_prefix(&self.text[..at])?;
        for (name, was) in self.names.iter().zip(&self.places) {
            let rest = &buffer[at..];
            let is_same = rest.starts_with(&self.text[was.start..was.end]);
            let place = if is_same { was.moved_to(at) } else { was.of_other(name, &self.text, rest, at)? };
            at = place.end;
            places.push(place);
        }
        buffer[at..].starts_with(b"\r\n").then_some(at + 2)
    }

    /// Says what the head `text` says, whose headers stand in these places; nothing if that cannot be said.
    fn change(&mut self, text: &[u8], places: &[Place]) -> Option<()> {
        let (mut length, mut others) = (None, Vec::new());
        for (name, place) in self.names.iter().zip(places) {
            let value = place.value.clone();
            if *name == header::CONTENT_LENGTH {
                length = Some(value);
            } else if place.is_other {
                others.push((name, HeaderValue::from_bytes(&text[value]).ok()?));
            }
        }
        if let Some(length) = &length {
            set_length(&mut self.head, &text[length.clone()])?;
        }
        let headers = &mut self.head.parts.headers;
        others.into_iter().for_each(|(name, value)| drop(headers.insert(name, value)));
        self.text.clear();
        self.text.extend_from_slice(text);
        self.length = length;
        Some(())
    }
}

impl Place {
    /// That of the same line where it stands in another text.
    fn moved_to(&self, at: usize) -> Self {
        Self { start: at, value: moved(&self.value, self.start, at), end: at + self.end - self.start, is_other: false }
    }

    /// That of the same header at the beginning of `rest`, which stands `at` in its text, with another value.
    fn of_other(&self, name: &HeaderName, text: &[u8], rest: &[u8], at: usize) -> Option<Self> {
        let colon = name.as_str().len();
        rest.strip_prefix(&text[self.start..=self.start + colon])?;
        let end = memchr::memchr(b'\n', rest)?.checked_sub(1)?;
        if rest[end] != b'\r' || TELLING.contains(name) {
            return None;
        }
        let value = moved(&line::value(&rest[..end], colon), 0, at);
        Some(Self { start: at, value, end: at + end + 2, is_other: true })
    }
}

fn set_length(head: &mut Head, number: &[u8]) -> Option<()> {
    let body = Framing::Length(canonical(number)?);
    if head.framing != body {
        head.parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_bytes(number).ok()?);
        head.framing = body;
    }
    Some(())
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

    #[test]
    fn heads_of_several_kinds_are_known_one_beside_the_other() {
        let post = |session: &str| head("5", session) + "body:";
        let delete = |session: &str| format!("DELETE /mcp HTTP/1.1\r\nhost: a\r\nmcp-session-id: {session}\r\n\r\n");
        let session = |n: usize| ["one", "another"][n % 2];
        let mut heads = Heads::default();
        for n in 0..4 {
            for text in [post(""), post(&format!("mcp-session-id: {}\r\n", session(n))), delete(session(n))] {
                both(&mut heads, &text).unwrap();
                assert!(n < 2 || heads.misses() == 0, "{text}");
            }
        }
        both(&mut heads, &head("5", &format!("long: {}\r\n", "x".repeat(LONGEST)))).unwrap();
        both(&mut heads, &delete("one")).unwrap();
        assert_eq!(heads.misses(), 0, "one between them that is not kept does them no harm");
        for n in 0..MOST {
            both(&mut heads, &head("5", &format!("of-{n}: 1\r\n"))).unwrap();
        }
        both(&mut heads, &delete("one")).unwrap();
        assert_eq!(heads.misses(), MOST as u8 + 1, "it had to make room for those that came later");
        both(&mut heads, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert!(!heads.remembers(), "its answer may last");
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
            starts in prop::collection::vec(prop::sample::select(vec!["POST / HTTP/1.1", "POST /a HTTP/1.1", "DELETE / HTTP/1.1", "GET / HTTP/1.1"]), 9),
            common in prop::sample::select(vec!["host: a\r\ncontent-length: 4\r\n", "host: a\r\n", ""]),
        ) {
            let mut heads = Heads::default();
            for (start, lines) in starts.iter().zip(texts) {
                // After one that is refused comes none.
                if both(&mut heads, &format!("{start}\r\n{common}{}\r\nbody", lines.concat())).is_none() {
                    break;
                }
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
