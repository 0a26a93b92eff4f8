use crate::chunked::{self, NotChunked};
use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use std::{mem::MaybeUninit, ops::Range};

/// The largest head of a response, in bytes: twice what any server's headers need, and little beside a connection.
const MAX_HEAD: usize = 64 << 10;
/// The most headers of a response; as many as hyper takes.
const MAX_HEADERS: usize = 100;
/// Informational responses (`103`, say) before the one that counts; a server that sends them for ever is cut off.
const MAX_INTERIM: usize = 16;

/// A text that is no HTTP/1 response, or not one that can be told from the next.
#[derive(Debug)]
pub(super) struct NotHttp(pub(super) &'static str);

impl From<NotChunked> for NotHttp {
    fn from(NotChunked(why): NotChunked) -> Self {
        Self(why)
    }
}

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// The status line and the headers, as they came.
    pub(super) text: Bytes,
    /// Where the content type stands in it.
    pub(super) kind: Option<Range<usize>>,
    /// Where the length of the body stands in it, if it is said once.
    pub(super) length: Option<Range<usize>>,
    pub(super) framing: Framing,
    /// Whether another request may follow on the connection.
    pub(super) keeps_alive: bool,
}

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are left.
    Length(u64),
    Chunked(chunked::State),
    /// It ends with the connection.
    Close,
}

impl Framing {
    pub(super) const NOTHING: Self = Self::Length(0);
}

/// Takes the heads of a response off what has arrived.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// What has been looked at and holds no whole head.
    seen: usize,
    interim: usize,
}

impl Heads {
    /// The head of the response, once all of it is there.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, NotHttp> {
        loop {
            if buffer.len() == self.seen {
                return Ok(None);
            }
            // A head ends with a line break, so without a new one there is none; each is looked at once.
            let ended = memchr::memchr(b'\n', &buffer[self.seen..]).is_some();
            let Some((length, head)) = (if ended { parse(buffer)? } else { None }) else {
                self.seen = buffer.len();
                return if self.seen > MAX_HEAD {
                    Err(NotHttp("the head of the answer is too large"))
                } else {
                    Ok(None)
                };
            };
            self.seen = 0;
            if head.status.is_informational() {
                self.interim += 1;
                if self.interim > MAX_INTERIM || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(NotHttp("informational answers and no other"));
                }
                buffer.advance(length);
                continue;
            }
            let text = buffer.split_to(length).freeze();
            return Ok(Some(Head { text, ..head }));
        }
    }
}

#[inline(never)]
fn parse(buffer: &[u8]) -> Result<Option<(usize, Head)>, NotHttp> {
    // Room that is not written to before there is a header for it: to clear it would cost as much as to read a usual head.
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, buffer, &mut headers) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Complete(_)) => return Err(NotHttp("the head of the answer is too large")),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(NotHttp("too many headers")),
        Err(_) => return Err(NotHttp("the answer is no HTTP")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(NotHttp("the answer is no HTTP"))?;
    let mut told = Told::default();
    for header in response.headers.iter() {
        told.take(header, buffer)?;
    }
    // A coding in HTTP/1.0 may be of somebody on the way who did not know it (RFC 9112, section 6.1).
    let persistent = !told.close && (response.version == Some(1) || told.keep_alive && !told.coded);
    let framing = told.framing(status)?;
    let keeps_alive = persistent && framing != Framing::Close;
    let Told { kind, length_at, .. } = told;
    Ok(Some((length, Head { status, text: Bytes::new(), kind, length: length_at, framing, keeps_alive })))
}

/// Where a part of `text` stands in it.
fn place(part: &[u8], text: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// Whether a header is the one of this name, which most servers write as it stands here.
fn is(header: &str, name: &str) -> bool {
    header.len() == name.len() && (header == name || header.eq_ignore_ascii_case(name))
}

/// The number that is written in decimal digits and nothing else.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let add = |number: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    digits.iter().try_fold(0, add).filter(|_| !digits.is_empty())
}

/// What the headers say about the body's end and the connection's.
#[derive(Default)]
struct Told {
    kind: Option<Range<usize>>,
    length: Option<u64>,
    /// Where the length stands; `None` if it stands twice.
    length_at: Option<Range<usize>>,
    coded: bool,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Told {
    fn take(&mut self, header: &httparse::Header<'_>, text: &[u8]) -> Result<(), NotHttp> {
        let value = header.value.trim_ascii();
        if is(header.name, "content-type") {
            self.kind.get_or_insert_with(|| place(header.value, text));
        } else if is(header.name, "content-length") {
            let length = number(value).ok_or(NotHttp("a content length that is no number"))?;
            self.length_at = self.length.is_none().then(|| place(value, text));
            // Two that differ make the end of the body a matter of opinion.
            if self.length.replace(length).is_some_and(|other| other != length) {
                return Err(NotHttp("two content lengths"));
            }
        } else if is(header.name, "transfer-encoding") {
            self.chunked = !self.coded && value.eq_ignore_ascii_case(b"chunked");
            self.coded = true;
        } else if is(header.name, "connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(())
    }

    fn framing(&self, status: StatusCode) -> Result<Framing, NotHttp> {
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational() {
            return Ok(Framing::NOTHING);
        }
        match (self.coded, self.length) {
            (true, Some(_)) => Err(NotHttp("a content length and a transfer coding")),
            (true, None) if self.chunked => Ok(Framing::Chunked(chunked::State::default())),
            (true, None) => Err(NotHttp("an unknown transfer coding")),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::Close),
        }
    }
}

/// The value of a header in the text of a head that was parsed; the first one, without the space around it.
#[cfg(any(feature = "http", test))]
pub(super) fn header<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    memchr::memchr_iter(b'\n', text).find_map(|end| {
        let (key, value) = text[end + 1..].split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| key.eq_ignore_ascii_case(name.as_bytes()))?;
        let end = memchr::memchr(b'\n', value).unwrap_or(value.len());
        Some(value[..end].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str) -> Result<Option<Head>, NotHttp> {
        Heads::default().take(&mut BytesMut::from(text))
    }

    #[test]
    fn the_end_of_the_body_is_what_the_headers_say() {
        let framing = |text: &str| take(&format!("HTTP/1.1 {text}\r\n\r\n")).map(|head| head.unwrap().framing);
        assert_eq!(framing("200 OK\r\nContent-Length: 5").unwrap(), Framing::Length(5));
        assert_eq!(framing("200 OK\r\ncontent-length: 5\r\ncontent-length:5").unwrap(), Framing::Length(5));
        assert!(matches!(framing("200 OK\r\ntransfer-encoding: Chunked").unwrap(), Framing::Chunked(_)));
        assert_eq!(framing("200").unwrap(), Framing::Close);
        assert_eq!(framing("204 No Content\r\ncontent-length: 9").unwrap(), Framing::NOTHING);
        for doubtful in [
            "200 OK\r\ncontent-length: 5\r\ncontent-length: 6",
            "200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked",
            "200 OK\r\ncontent-length: +5",
            "200 OK\r\ncontent-length: 99999999999999999999",
            "200 OK\r\ntransfer-encoding: gzip",
            "200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked",
            "200 OK\r\nno colon",
        ] {
            assert!(framing(doubtful).is_err(), "{doubtful}");
        }
    }

    #[test]
    fn a_connection_is_kept_where_both_sides_agree() {
        let keeps = |head: &str| take(&format!("{head}\r\ncontent-length: 0\r\n\r\n")).unwrap().unwrap().keeps_alive;
        assert!(keeps("HTTP/1.1 200 OK"));
        assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: Close"));
        assert!(!keeps("HTTP/1.0 200 OK"));
        assert!(keeps("HTTP/1.0 200 OK\r\nconnection: keep-alive"));
        assert!(!take("HTTP/1.1 200 OK\r\n\r\n").unwrap().unwrap().keeps_alive);
        let chunked = |version: &str| {
            let head = format!("{version} 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n");
            take(&head).unwrap().unwrap().keeps_alive
        };
        assert!(chunked("HTTP/1.1") && !chunked("HTTP/1.0"));
    }

    #[test]
    fn informational_answers_are_passed_over_but_not_for_ever() {
        let mut text = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(MAX_INTERIM);
        let head = take(&(text.clone() + "HTTP/1.1 404 Not Found\r\n\r\n")).unwrap().unwrap();
        assert_eq!(head.status, 404);
        text += "HTTP/1.1 100 Continue\r\n\r\n";
        assert!(take(&text).is_err());
        assert!(take("HTTP/1.1 101 Switching Protocols\r\n\r\n").is_err());
    }

    #[test]
    fn a_head_is_bounded_and_may_come_in_any_pieces() {
        assert!(take(&format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(MAX_HEAD))).is_err());
        assert!(take(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1))).is_err());
        let text = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        let (mut heads, mut buffer) = (Heads::default(), BytesMut::new());
        let mut found = None;
        for byte in text {
            assert!(found.is_none() || buffer.is_empty() || *byte != b'{');
            buffer.extend_from_slice(&[*byte]);
            found = found.or(heads.take(&mut buffer).unwrap());
        }
        let head = found.unwrap();
        assert_eq!((header(&head.text, "content-type"), &buffer[..]), (Some(&b"application/json"[..]), &b"{}"[..]));
        assert_eq!(header(&head.text, "content"), None);
    }
}
