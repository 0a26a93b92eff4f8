use super::output::Output;
use crate::{clock, hex};
use bytes::Buf;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::{
    cell::Cell,
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// How the client finds the end of an answer's body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is none: because of the status, or to HEAD, which is told how long it would be where that is known.
    Nothing(Option<u64>),
    /// So many bytes are left.
    Length(u64),
    Chunked,
    /// It ends with the connection, because the client knows no chunks.
    Close,
}

impl Coding {
    /// The coding of a body that is known to have `length` bytes, or not known at all.
    pub(super) fn of(status: StatusCode, length: Option<u64>, is_head: bool, is_http11: bool) -> Self {
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Coding::Nothing(None);
        }
        if is_head {
            // A body that was left out already says nothing of how long it was.
            return Coding::Nothing(length.filter(|length| *length > 0));
        }
        match length {
            Some(length) => Coding::Length(length),
            None if is_http11 => Coding::Chunked,
            None => Coding::Close,
        }
    }

    /// Writes a piece; `is_last` if the body says that it ends there, which then is written along.
    ///
    /// # Errors
    ///
    /// It is more than was announced; nothing is written.
    pub(super) fn piece<D: Buf>(&mut self, output: &mut Output<D>, piece: D, is_last: bool) -> Result<(), WrongLength> {
        let length = piece.remaining();
        if length == 0 {
            return Ok(());
        }
        match self {
            Coding::Nothing(_) => return Ok(()),
            Coding::Length(left) => *left = left.checked_sub(length as u64).ok_or(WrongLength)?,
            Coding::Close => {}
            Coding::Chunked => {
                let head = output.buffer();
                hex::append(head, length as u64);
                head.extend_from_slice(b"\r\n");
                if is_last {
                    *self = Coding::Nothing(None);
                }
                output.push(piece, if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" });
                return Ok(());
            }
        }
        output.push(piece, b"");
        Ok(())
    }

    /// Writes the end of the body.
    ///
    /// # Errors
    ///
    /// It is less than was announced.
    pub(super) fn end<D: Buf>(self, output: &mut Output<D>) -> Result<(), WrongLength> {
        match self {
            Coding::Chunked => output.buffer().extend_from_slice(b"0\r\n\r\n"),
            Coding::Length(1..) => return Err(WrongLength),
            Coding::Length(0) | Coding::Nothing(_) | Coding::Close => {}
        }
        Ok(())
    }

    /// Whether nothing more can follow.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Coding::Nothing(_) | Coding::Length(0))
    }
}

/// A body that is not as long as was said.
#[derive(Debug, thiserror::Error)]
#[error("the body of an answer is not as long as its size hint says")]
pub(super) struct WrongLength;

/// Appends the head of an answer. `is_last` says that the connection ends with it, `keep_alive` that a client of HTTP/1.0 is
/// told that it does not.
pub(super) fn head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    coding: Coding,
    (is_last, keep_alive): (bool, bool),
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut is_dated = false;
    for (name, value) in headers {
        if is_own(name) && !(*name == header::CONTENT_LENGTH && coding == Coding::Nothing(None)) {
            continue;
        }
        is_dated |= *name == header::DATE;
        line(out, name, value);
    }
    match coding {
        Coding::Length(length) | Coding::Nothing(Some(length)) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Coding::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Coding::Nothing(None) | Coding::Close => {}
    }
    if is_last {
        out.extend_from_slice(b"connection: close\r\n");
    } else if keep_alive {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !is_dated {
        date(out);
    }
    out.extend_from_slice(b"\r\n");
}

/// What is the connection's to say. Of an answer without a body, its length is what another answer would have.
fn is_own(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING || *name == header::CONNECTION
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The length of a date, which is fixed: `Thu, 01 Jan 1970 00:00:00 GMT`.
const DATE: usize = 29;

thread_local! {
    /// The second that was written last, and until when it lasts.
    static WRITTEN: Cell<(Option<Instant>, [u8; DATE])> = const { Cell::new((None, [b' '; DATE])) };
}

/// Appends the time (RFC 9110, section 6.6.1).
fn date(out: &mut Vec<u8>) {
    let (until, mut text) = WRITTEN.get();
    let now = clock::now();
    if until.is_none_or(|until| now >= until) {
        let time = SystemTime::now();
        let part = time.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        // A year of five digits fits as little as into the header.
        let _ = write!(&mut text[..], "{}", httpdate::HttpDate::from(time));
        WRITTEN.set((Some(now + Duration::from_secs(1) - Duration::from_nanos(part.into())), text));
    }
    out.extend_from_slice(b"date: ");
    out.extend_from_slice(&text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn written(status: StatusCode, headers: &HeaderMap, coding: Coding, last: (bool, bool)) -> String {
        let mut out = Vec::new();
        head(&mut out, status, headers, coding, last);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_says_what_the_connection_does_and_not_what_the_service_thinks_of_it() {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_static("today"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("9"));
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("gzip"));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("a"));
        headers.append(header::SET_COOKIE, HeaderValue::from_static("b"));
        let start = "HTTP/1.1 200 OK\r\ndate: today\r\n";
        let cookies = "set-cookie: a\r\nset-cookie: b\r\n";
        for (coding, last, rest) in [
            (Coding::Length(3), (false, false), "content-length: 3\r\n"),
            (Coding::Chunked, (true, true), "transfer-encoding: chunked\r\nconnection: close\r\n"),
            (Coding::Close, (false, true), "connection: keep-alive\r\n"),
        ] {
            let expected = format!("{start}{cookies}{rest}\r\n");
            assert_eq!(written(StatusCode::OK, &headers, coding, last), expected);
        }
        let bodiless = written(StatusCode::OK, &headers, Coding::Nothing(None), (false, false));
        assert_eq!(bodiless, format!("{start}content-length: 9\r\n{cookies}\r\n"));
    }

    #[test]
    fn a_head_has_a_date_and_a_status_without_a_name_has_none() {
        let text =
            written(StatusCode::from_u16(299).unwrap(), &HeaderMap::new(), Coding::Nothing(None), (false, false));
        let date = text.strip_prefix("HTTP/1.1 299 \r\ndate: ").and_then(|rest| rest.strip_suffix("\r\n\r\n")).unwrap();
        let written = httpdate::parse_http_date(date).unwrap();
        assert!(SystemTime::now().duration_since(written).unwrap() < Duration::from_secs(60));
    }

    #[test]
    fn the_coding_is_what_client_and_status_allow() {
        let of = |status: u16, length, is_head, is_http11| {
            Coding::of(StatusCode::from_u16(status).unwrap(), length, is_head, is_http11)
        };
        assert_eq!(of(200, Some(3), false, true), Coding::Length(3));
        assert_eq!(of(200, None, false, true), Coding::Chunked);
        assert_eq!(of(200, None, false, false), Coding::Close);
        assert_eq!(of(200, Some(3), true, true), Coding::Nothing(Some(3)));
        assert_eq!(of(200, Some(0), true, true), Coding::Nothing(None));
        assert_eq!(of(204, Some(0), false, true), Coding::Nothing(None));
    }

    #[test]
    fn a_body_that_is_longer_or_shorter_than_announced_is_none() {
        let mut output = Output::new();
        let mut coding = Coding::Length(3);
        assert!(coding.piece(&mut output, Bytes::from_static(b"ab"), false).is_ok() && !coding.is_over());
        assert!(coding.end(&mut output).is_err());
        assert!(coding.piece(&mut output, Bytes::from_static(b"cd"), false).is_err());
        assert_eq!(output.buffer(), b"ab");
    }

    #[test]
    fn the_last_chunk_takes_the_end_along() {
        for (is_last, end) in [(true, "0\r\n\r\n"), (false, "")] {
            let (mut output, mut coding) = (Output::new(), Coding::Chunked);
            coding.piece(&mut output, Bytes::from(vec![b'x'; 26]), is_last).unwrap();
            assert_eq!(coding.is_over(), is_last);
            let expected = format!("1a\r\n{}\r\n{end}", "x".repeat(26));
            assert_eq!(output.buffer().as_slice(), expected.as_bytes());
        }
    }
}
