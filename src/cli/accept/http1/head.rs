use super::{
    super::MAX_HEAD,
    line::{Header, Lines, Start},
    repeated::Repeated,
};
use crate::chunked;
use bytes::{Buf, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, Version, header, request::Parts, uri::Authority,
};
use std::mem;

/// The most headers of a request; as many as hyper takes.
const MAX_HEADERS: usize = 100;

/// Takes the heads of requests off what has arrived, and refuses one that another HTTP server could read differently: one
/// between the two would then take for one request what is two here, and what it forbids would pass inside (request
/// smuggling).
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// What has been looked at, where its last line begins, and how many lines are before that.
    seen: usize,
    line: usize,
    lines: usize,
    /// The last host that was found good: a client asks for one over and over.
    host: Vec<u8>,
    repeated: Repeated,
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) framing: Framing,
    /// Whether the client takes another answer on the connection.
    pub(super) keeps_alive: bool,
    /// Whether the client waits for a word before it sends the body (RFC 9110, section 10.1.1).
    pub(super) expects: bool,
}

/// How the end of a request's body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are left.
    Length(u64),
    Chunked(chunked::State),
}

/// A head that is not served, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) &'static str);

const fn malformed(why: &'static str) -> Refused {
    Refused(StatusCode::BAD_REQUEST, why)
}

const TOO_LARGE: Refused = Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is larger than 64 KiB");
const TOO_MANY: Refused = Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "more than 100 headers");
const NOT_HTTP: Refused = malformed("this is no head of an HTTP/1 request");
const ONE_HOST: Refused = malformed("name one host");
const ONE_LENGTH: Refused = malformed("give the length of the body once, as a number");
const ONE_CODING: Refused = malformed("the only transfer coding is chunked, once, and without a content length");

impl Heads {
    /// The head of the next request, once all of it is there.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Refused> {
        // Lines may be empty before a request, where a client ended its last body with one.
        while self.line == 0 && buffer.starts_with(b"\r\n") {
            buffer.advance(2);
            self.seen = 0;
        }
        if self.seen == 0
            && let Some(head) = self.repeated.take(buffer)
        {
            return Ok(Some(head));
        }
        let Some(end) = self.end(buffer)? else {
            return if buffer.len() > MAX_HEAD { Err(TOO_LARGE) } else { Ok(None) };
        };
        // All lines but that of the request itself.
        let headers = self.lines.saturating_sub(1);
        (self.seen, self.line, self.lines) = (0, 0, 0);
        if end > MAX_HEAD {
            return Err(TOO_LARGE);
        }
        if headers > MAX_HEADERS {
            return Err(TOO_MANY);
        }
        let text = buffer.split_to(end).freeze();
        let head = parse(&text, headers, &mut self.host)?;
        self.repeated.put(&text, &head);
        Ok(Some(head))
    }

    #[cfg(test)]
    pub(super) fn remembers(&self) -> bool {
        self.repeated.is_some()
    }

    /// How many heads in a row were read as a whole.
    #[cfg(test)]
    pub(super) fn misses(&self) -> u8 {
        self.repeated.misses()
    }

    /// Where the head ends. Each byte is looked at once, however it arrives.
    fn end(&mut self, buffer: &[u8]) -> Result<Option<usize>, Refused> {
        for at in memchr::memchr_iter(b'\n', &buffer[self.seen..]) {
            let at = self.seen + at;
            // A reader that takes the LF alone for the end of a line sees another head.
            if at == self.line || buffer[at - 1] != b'\r' {
                return Err(malformed("a line that does not end in CRLF"));
            }
            if at == self.line + 1 {
                return Ok(Some(at + 1));
            }
            self.line = at + 1;
            self.lines += 1;
        }
        self.seen = buffer.len();
        Ok(None)
    }
}

#[inline(never)]
fn parse(text: &Bytes, count: usize, known: &mut Vec<u8>) -> Result<Head, Refused> {
    let mut lines = Lines::of(text);
    let Start { method, target, version } = lines.start().ok_or(NOT_HTTP)?;
    let (mut headers, mut told) = (HeaderMap::with_capacity(count), Told::default());
    while let Some(line) = lines.next() {
        let Header { name, value } = lines.header(line).ok_or(NOT_HTTP)?;
        told.take(&name, &text[value.clone()], known)?;
        headers.append(name, HeaderValue::from_maybe_shared(text.slice(value)).map_err(|_| NOT_HTTP)?);
    }
    let is_http11 = version == Version::HTTP_11;
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    parts.uri = Uri::from_maybe_shared(text.slice(target)).map_err(|_| malformed("the target is no URI"))?;
    parts.version = version;
    parts.headers = headers;
    Ok(Head {
        parts,
        framing: told.framing(is_http11)?,
        keeps_alive: if is_http11 { !told.close } else { told.keep_alive && !told.close },
        expects: told.expects && is_http11,
    })
}

/// The headers that [`Told`] looks at beside the length of the body: where one of them is another, so may all of it be.
pub(super) static TELLING: [HeaderName; 4] =
    [header::HOST, header::TRANSFER_ENCODING, header::CONNECTION, header::EXPECT];

/// What the headers say about the body's end and the connection's.
#[derive(Debug, Default)]
struct Told {
    hosts: u8,
    length: Option<u64>,
    is_chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
}

impl Told {
    fn take(&mut self, name: &HeaderName, value: &[u8], known: &mut Vec<u8>) -> Result<(), Refused> {
        if *name == header::HOST {
            self.hosts = self.hosts.saturating_add(1);
            return if is_host(value, known) { Ok(()) } else { Err(ONE_HOST) };
        }
        if *name == header::CONTENT_LENGTH {
            // A list of equal lengths is allowed to be repaired; nobody who means well sends one.
            let twice = self.length.replace(digits(value).ok_or(ONE_LENGTH)?).is_some();
            return if twice { Err(ONE_LENGTH) } else { Ok(()) };
        }
        if *name == header::TRANSFER_ENCODING {
            // No other coding is undone here, so a body with one would not be what it looks like.
            let once = !mem::replace(&mut self.is_chunked, true);
            return if once && value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(ONE_CODING) };
        }
        if *name == header::CONNECTION {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == header::EXPECT {
            self.expects |= value.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }

    fn framing(&self, is_http11: bool) -> Result<Framing, Refused> {
        let hosts = if is_http11 { 1..=1 } else { 0..=1 };
        match (self.is_chunked, self.length) {
            _ if !hosts.contains(&self.hosts) => Err(ONE_HOST),
            (true, None) if is_http11 => Ok(Framing::Chunked(chunked::State::default())),
            (true, _) => Err(ONE_CODING),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
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

/// A number of digits alone: what else Rust or C would read for one, others do not.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let number = text.iter().try_fold(0u64, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?));
    number.filter(|_| !text.is_empty())
}

impl Framing {
    /// What has arrived of the body.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, chunked::NotChunked> {
        match self {
            Framing::Chunked(state) => chunked::next(state, buffer),
            Framing::Length(left) => {
                let length = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                Ok((length > 0).then(|| buffer.split_to(length).freeze()))
            }
        }
    }

    /// How many bytes follow, if that is known.
    pub(super) fn known(&self) -> Option<u64> {
        match self {
            Framing::Length(left) => Some(*left),
            Framing::Chunked(_) => None,
        }
    }

    /// Whether the end was read.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(chunked::State::End))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A request's method and target, and its body.
    type Read = (String, Vec<u8>);

    /// What a connection makes of `text` that arrives in pieces of this size: the requests with their bodies, and how it
    /// ends.
    fn read(text: &[u8], piece: usize) -> (Vec<Read>, Result<usize, StatusCode>) {
        let (mut heads, mut buffer, mut requests, mut open) = (Heads::default(), BytesMut::new(), Vec::new(), None);
        for bytes in text.chunks(piece) {
            buffer.extend_from_slice(bytes);
            loop {
                if let Some(framing) = &mut open {
                    let (_, body): &mut Read = requests.last_mut().unwrap();
                    match Framing::take(framing, &mut buffer) {
                        Ok(Some(data)) => body.extend_from_slice(&data),
                        Ok(None) if framing.is_over() => open = None,
                        Ok(None) => break,
                        Err(_) => return (requests, Err(StatusCode::BAD_REQUEST)),
                    }
                    continue;
                }
                match heads.take(&mut buffer) {
                    Ok(Some(head)) => {
                        open = Some(head.framing);
                        requests.push((format!("{} {}", head.parts.method, head.parts.uri), Vec::new()));
                    }
                    Ok(None) => break,
                    Err(Refused(status, _)) => return (requests, Err(status)),
                }
            }
        }
        (requests, Ok(buffer.len()))
    }

    const GOOD: &[(&str, &[&str])] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[""]),
        ("\r\nGET / HTTP/1.1\r\nhOST:a:1\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n", &["", ""]),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: [::1]:4000\r\n\r\n",
            &["abc", ""],
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n3;x=\"y\"\r\na\nb\r\n1a \r\nabcdefghijklmnopqrst\
             uvwxyz\r\n0\r\nx: y\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            &["a\nbabcdefghijklmnopqrstuvwxyz", ""],
        ),
    ];

    #[test]
    fn what_is_plain_is_read_in_pieces_of_any_size() {
        for (text, bodies) in GOOD {
            for piece in 1..=text.len() {
                let (requests, end) = read(text.as_bytes(), piece);
                let read: Vec<_> = requests.iter().map(|(_, body)| std::str::from_utf8(body).unwrap()).collect();
                assert_eq!((&read[..], end), (*bodies, Ok(0)), "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        let with = |headers: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let chunked = |body: &str| format!("{}{body}", with("transfer-encoding: chunked\r\n"));
        let bad = [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            "GET /\r\n\r\n".into(),
            "GET  / HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "GET /\u{7f} HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "GET  HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "GET / HTTP/1.1\nhost: a\n\n".into(),
            "GET / HTTP/1.1\r\nhost: a\n\r\n".into(),
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "GET / HTTP/1.1\r\n\r\n".into(),
            "GET / HTTP/1.1\r\nhost:\r\n\r\n".into(),
            "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n".into(),
            with("host: a\r\n"),
            with("a : b\r\n"),
            with("a: b\r\n c\r\n"),
            with("a: \0\r\n"),
            with("a: b\rc: d\r\n"),
            with("content-length: 1\r\ntransfer-encoding: chunked\r\n"),
            with("transfer-encoding: chunked\r\ncontent-length: 1\r\n"),
            with("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
            with("transfer-encoding: gzip, chunked\r\n"),
            with("content-length: 1\r\ncontent-length: 1\r\n"),
            with("content-length: 1, 1\r\n"),
            with("content-length: +1\r\n"),
            with("content-length:\r\n"),
            with("content-length: 18446744073709551616\r\n"),
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n".into(),
            chunked("x\r\n"),
            chunked("-1\r\n"),
            chunked("\r\n"),
            chunked(" 1\r\nx\r\n0\r\n\r\n"),
            chunked("1\nx\r\n0\r\n\r\n"),
            chunked("1\r\nxy\r\n0\r\n\r\n"),
            chunked("10000000000000000\r\n"),
        ];
        for text in &bad {
            for piece in 1..=text.len() {
                let end = read(text.as_bytes(), piece).1;
                assert_eq!(end, Err(StatusCode::BAD_REQUEST), "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn the_connection_is_kept_as_the_client_says() {
        for (text, keeps_alive) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nhost: a\r\nconnection: a, Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", true),
        ] {
            let head = Heads::default().take(&mut BytesMut::from(text)).unwrap().unwrap();
            assert_eq!(head.keeps_alive, keeps_alive, "{text}");
        }
    }

    proptest! {
        /// However a stream is cut into reads, the same is read.
        #[test]
        fn cuts_change_nothing(
            parts in prop::collection::vec(prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "host: a\r\n", "content-length: 2\r\n", "transfer-encoding: chunked\r\n", "\r\n", "\n", "ab",
                "2\r\n", "0\r\n", "x: y\r\n", "\0", ":",
            ]), 0..24),
            piece in 1usize..9,
        ) {
            let text = parts.concat();
            prop_assert_eq!(read(text.as_bytes(), piece), read(text.as_bytes(), text.len().max(1)));
        }
    }
}
