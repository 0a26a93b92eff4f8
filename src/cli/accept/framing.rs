use http::uri::Authority;

/// The longest line that is remembered from one read to the next. HTTP refuses a head of this size anyway.
const MAX_LINE: usize = 64 << 10;

/// Follows what a client sends from request to request, and spoils a head that another HTTP server could read
/// differently: one between the two would then take for one request what is two here, and what it forbids would pass
/// inside (request smuggling).
///
/// hyper repairs such heads and tells nobody: it drops `Content-Length` beside `Transfer-Encoding`, takes a line that
/// ends in LF alone, and leaves `Host` to whoever looks. A head is spoiled by a NUL in place of the end of a line, which
/// it answers with 400 and the end of the connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    at: Place,
    head: Head,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The last host that was found good: a client asks for one over and over.
    host: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// A head was spoiled; nothing that follows is a request any more.
    Lost,
}

/// What is known of a head so far.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    is_http11: bool,
    hosts: u8,
    length: Option<u64>,
    is_chunked: bool,
}

/// A line on which two readers could disagree.
#[derive(Debug)]
struct Ambiguous;

impl Framing {
    /// Whether the client is between two requests, with nothing of the last left to come.
    pub(super) fn is_between(&self) -> bool {
        self.at == Place::Head && !self.head.begun && self.line.is_empty()
    }

    /// Takes note of bytes that were read, in the order in which they came.
    pub(super) fn follow(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.at {
                Place::Lost => return,
                Place::Body(left) => {
                    let (taken, left) = take(left, rest.len());
                    self.at = if left == 0 { Place::Head } else { Place::Body(left) };
                    taken
                }
                Place::Chunk(left) => {
                    let (taken, left) = take(left, rest.len());
                    self.at = if left == 0 { Place::ChunkEnd } else { Place::Chunk(left) };
                    taken
                }
                _ => self.line(rest),
            };
            rest = &mut rest[taken..];
        }
    }

    /// Takes one line, or what there is of it.
    fn line(&mut self, bytes: &mut [u8]) -> usize {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.line.extend_from_slice(bytes);
            if self.line.len() > MAX_LINE {
                self.at = Place::Lost;
            }
            return bytes.len();
        };
        let read = match self.line.is_empty() {
            true => self.read(&bytes[..end]),
            false => {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                let read = self.read(&line);
                line.clear();
                self.line = line;
                read
            }
        };
        self.at = read.unwrap_or_else(|Ambiguous| {
            bytes[end] = 0;
            Place::Lost
        });
        end + 1
    }

    /// What follows a line, which is given without its LF.
    fn read(&mut self, line: &[u8]) -> Result<Place, Ambiguous> {
        let line = line.strip_suffix(b"\r").ok_or(Ambiguous)?;
        match self.at {
            Place::ChunkSize => Ok(match chunk_size(line)? {
                0 => Place::Trailer,
                size => Place::Chunk(size),
            }),
            Place::ChunkEnd if line.is_empty() => Ok(Place::ChunkSize),
            Place::ChunkEnd => Err(Ambiguous),
            Place::Trailer => Ok(if line.is_empty() { Place::Head } else { Place::Trailer }),
            _ if !line.is_empty() => self.head.take(line, &mut self.host).map(|()| Place::Head),
            // Lines may be empty before a request, where a client ended its last body with one.
            _ if !self.head.begun => Ok(Place::Head),
            _ => std::mem::take(&mut self.head).body(),
        }
    }
}

fn take(left: u64, there: usize) -> (usize, u64) {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(there);
    (taken, left - taken as u64)
}

impl Head {
    fn take(&mut self, line: &[u8], known: &mut Vec<u8>) -> Result<(), Ambiguous> {
        if !self.begun {
            self.begun = true;
            self.is_http11 = line.ends_with(b" HTTP/1.1");
            return if self.is_http11 || line.ends_with(b" HTTP/1.0") { Ok(()) } else { Err(Ambiguous) };
        }
        if let Some(value) = value_of(line, b"host") {
            self.hosts = self.hosts.saturating_add(1);
            is_host(value, known).then_some(()).ok_or(Ambiguous)
        } else if let Some(value) = value_of(line, b"content-length") {
            // A list of equal lengths is allowed to be repaired; nobody who means well sends one.
            let twice = self.length.replace(digits(value, 10).ok_or(Ambiguous)?).is_some();
            if twice { Err(Ambiguous) } else { Ok(()) }
        } else if let Some(value) = value_of(line, b"transfer-encoding") {
            // No other coding is undone here, so a body with one would not be what it looks like.
            let once = !std::mem::replace(&mut self.is_chunked, true);
            if once && value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(Ambiguous) }
        } else {
            // Another header, or none, which hyper says.
            Ok(())
        }
    }

    /// The body after a complete head.
    fn body(self) -> Result<Place, Ambiguous> {
        let hosts = if self.is_http11 { 1..=1 } else { 0..=1 };
        match (self.is_chunked, self.length) {
            _ if !hosts.contains(&self.hosts) => Err(Ambiguous),
            (true, Some(_)) => Err(Ambiguous),
            (true, None) if !self.is_http11 => Err(Ambiguous),
            (true, None) => Ok(Place::ChunkSize),
            (false, None | Some(0)) => Ok(Place::Head),
            (false, Some(length)) => Ok(Place::Body(length)),
        }
    }
}

/// What stands behind the colon of a header with this name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":").filter(|_| start.eq_ignore_ascii_case(name))?;
    Some(value.trim_ascii())
}

fn is_host(value: &[u8], known: &mut Vec<u8>) -> bool {
    if !value.is_empty() && *value == **known {
        return true;
    }
    let good = !value.contains(&b'@') && Authority::try_from(value).is_ok_and(|authority| !authority.host().is_empty());
    if good {
        known.clear();
        known.extend_from_slice(value);
    }
    good
}

/// The size at the beginning of a chunk; extensions mean nothing here.
fn chunk_size(line: &[u8]) -> Result<u64, Ambiguous> {
    let end = memchr::memchr(b';', line).unwrap_or(line.len());
    digits(line[..end].trim_ascii_end(), 16).ok_or(Ambiguous)
}

/// A number of digits alone: what else Rust or C would read for one, others do not.
fn digits(text: &[u8], radix: u32) -> Option<u64> {
    let plain = text.iter().all(|byte| char::from(*byte).is_digit(radix));
    if plain { u64::from_str_radix(std::str::from_utf8(text).ok()?, radix).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether everything passes untouched, in pieces of this size, and what it comes to.
    fn passes(text: &[u8], piece: usize) -> (bool, Framing) {
        let mut framing = Framing::default();
        let mut seen = text.to_vec();
        seen.chunks_mut(piece).for_each(|bytes| framing.follow(bytes));
        (seen == text, framing)
    }

    const GOOD: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nhOST:a:1\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: [::1]:4000\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n3;x=\"y\"\r\na\nb\r\n1a \r\nabcdefghijklmnopqrstuvwxyz\
         \r\n0\r\nx: y\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ];

    #[test]
    fn what_is_plain_passes_in_pieces_of_any_size() {
        for text in GOOD {
            for piece in 1..=text.len() {
                let (same, framing) = passes(text.as_bytes(), piece);
                assert!(same && framing.is_between(), "{text:?} in pieces of {piece}");
            }
            for end in 1..text.len() {
                let between = passes(&text.as_bytes()[..end], end).1.is_between();
                let ends = ["\r\n\r\n", "abc", "\r\n"].iter().any(|last| text[..end].ends_with(last));
                assert!(!between || ends, "{:?}", &text[..end]);
            }
        }
    }

    #[test]
    fn what_two_readers_could_take_differently_is_spoiled() {
        let with = |headers: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let chunked = |body: &str| format!("{}{body}", with("transfer-encoding: chunked\r\n"));
        let bad = [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            "GET /\r\n\r\n".into(),
            "GET / HTTP/1.1\nhost: a\n\n".into(),
            "GET / HTTP/1.1\r\n\r\n".into(),
            "GET / HTTP/1.1\r\nhost:\r\n\r\n".into(),
            "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n".into(),
            with("host: a\r\n"),
            with("content-length: 1\r\ntransfer-encoding: chunked\r\n"),
            with("transfer-encoding: chunked\r\ncontent-length: 1\r\n"),
            with("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
            with("transfer-encoding: gzip, chunked\r\n"),
            with("content-length: 1\r\ncontent-length: 1\r\n"),
            with("content-length: 1, 1\r\n"),
            with("content-length: +1\r\n"),
            with("content-length: 18446744073709551616\r\n"),
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into(),
            chunked("x\r\n"),
            chunked("-1\r\n"),
            chunked("\r\n"),
            chunked("1\nx\r\n0\r\n\r\n"),
            chunked("1\r\nxy\r\n0\r\n\r\n"),
            chunked("10000000000000000\r\n"),
        ];
        for text in &bad {
            for piece in 1..=text.len() {
                let (same, framing) = passes(text.as_bytes(), piece);
                assert!(!same && framing.at == Place::Lost && !framing.is_between(), "{text:?} in pieces of {piece}");
            }
        }
    }

    proptest! {
        /// However a stream is cut into reads, the same bytes are spoiled.
        #[test]
        fn cuts_change_nothing(
            parts in prop::collection::vec(prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "host: a\r\n", "content-length: 2\r\n", "transfer-encoding: chunked\r\n", "\r\n", "\n", "ab",
                "2\r\n", "0\r\n", "x: y\r\n", "\0", ":",
            ]), 0..24),
            piece in 1usize..9,
        ) {
            let text = parts.concat();
            let once = |piece: usize| {
                let (mut seen, mut framing) = (text.clone().into_bytes(), Framing::default());
                seen.chunks_mut(piece).for_each(|bytes| framing.follow(bytes));
                (seen, framing.at)
            };
            prop_assert_eq!(once(piece), once(text.len().max(1)));
        }
    }
}
