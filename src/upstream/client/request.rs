#[cfg(feature = "http")]
use crate::json::write::Frame;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::mem;

/// A body up to this size travels in the same buffer, and so in the same segment, as its head; copying it costs less
/// than a second slice to write. In bytes.
const JOINED: usize = 16 << 10;

/// Room for fields that are added later, in bytes: those of a session and of a call.
const OTHER_FIELDS: usize = 256;

/// A request as it goes on the wire: its head is written as it is made, and never parsed again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    head: Vec<u8>,
    /// Where its fields end, if the body stands behind them already.
    ended: Option<usize>,
    body: Bytes,
}

impl Request {
    /// A request that begins with `opening`, its first line and some fields, and has a body of this many bytes, if it may
    /// have one.
    pub(super) fn begin(opening: &[u8], length: Option<usize>) -> Self {
        let joined = length.filter(|length| *length <= JOINED).unwrap_or(0);
        let mut head = Vec::with_capacity(OTHER_FIELDS + opening.len() + joined);
        head.extend_from_slice(opening);
        if let Some(length) = length {
            field(&mut head, &header::CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes());
        }
        Self { head, ended: None, body: Bytes::new() }
    }

    /// Adds a header; one that stands there already is not replaced.
    pub(crate) fn header(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.field(name, value.as_bytes());
    }

    /// As [`header`](Self::header), with the bytes of what is one.
    pub(crate) fn field(&mut self, name: &HeaderName, value: &[u8]) {
        match self.ended {
            None => field(&mut self.head, name, value),
            Some(end) => {
                let body = self.head.split_off(end);
                field(&mut self.head, name, value);
                self.ended = Some(self.head.len());
                self.head.extend_from_slice(&body);
            }
        }
    }

    /// Gives it its body.
    pub(crate) fn body(&mut self, body: Bytes) {
        self.body = body;
    }

    /// Gives it its body, of so many bytes, written where it will leave.
    #[cfg(feature = "http")]
    pub(crate) fn frame(&mut self, frame: &Frame<'_>, length: usize) {
        if length > JOINED {
            let mut body = Vec::with_capacity(length);
            frame.append(&mut body);
            self.body = body.into();
        } else {
            self.ended = Some(self.head.len());
            self.head.extend_from_slice(b"\r\n");
            frame.append(&mut self.head);
        }
    }

    /// What is to be written, in order; nothing can be added to it any more.
    pub(super) fn finish(mut self) -> Wire {
        if self.ended.is_none() {
            self.head.extend_from_slice(b"\r\n");
            if self.body.len() <= JOINED {
                self.head.extend_from_slice(&mem::take(&mut self.body));
            }
        }
        Wire { head: self.head, body: self.body }
    }
}

/// The first line of requests to `url`, and what all of them carry.
pub(super) fn opening(method: &Method, url: &Uri, fields: &[u8]) -> Vec<u8> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    [method.as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n", fields].concat()
}

/// The bytes of a request.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
}

impl Wire {
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// What is left after the first `written` bytes.
    pub(super) fn rest(&self, written: usize) -> (&[u8], &[u8]) {
        let of_head = written.min(self.head.len());
        (&self.head[of_head..], &self.body[written - of_head..])
    }
}

/// The headers that every request to the server of `url` carries, as they are written.
pub(super) fn fields(url: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let mut out = Vec::new();
    if !headers.contains_key(header::HOST) {
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().filter(|port| Some(*port) != standard_port(url));
        let host = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        field(&mut out, &header::HOST, host.as_bytes());
    }
    for (name, value) in headers {
        field(&mut out, name, value.as_bytes());
    }
    out
}

fn standard_port(url: &Uri) -> Option<u16> {
    match url.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    }
}

pub(super) fn field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(method: &Method, url: &str, body: &'static [u8]) -> String {
        let url: Uri = url.parse().unwrap();
        let mut configured = HeaderMap::new();
        configured.insert("x-key", HeaderValue::from_static("k"));
        let length = (*method != Method::GET).then_some(body.len());
        let mut request = Request::begin(&opening(method, &url, &fields(&url, &configured)), length);
        request.header(&header::ACCEPT, &HeaderValue::from_static("*/*"));
        request.body(Bytes::from_static(body));
        let Wire { head, body } = request.finish();
        String::from_utf8([&head[..], &body[..]].concat()).unwrap()
    }

    #[test]
    fn a_request_is_written_as_http_says() {
        assert_eq!(
            text(&Method::POST, "http://a:80/mcp?x=1", b"{}"),
            "POST /mcp?x=1 HTTP/1.1\r\nhost: a\r\nx-key: k\r\ncontent-length: 2\r\naccept: */*\r\n\r\n{}"
        );
        assert_eq!(
            text(&Method::GET, "https://[::1]:8443", b""),
            "GET / HTTP/1.1\r\nhost: [::1]:8443\r\nx-key: k\r\naccept: */*\r\n\r\n"
        );
    }

    #[test]
    #[cfg(feature = "http")]
    fn a_header_may_come_after_a_body_that_is_written_in_its_place() {
        let frame = Frame { id: 7, method: &crate::Method::PING, params: b"{}" };
        let mut request = Request::begin(b"POST / HTTP/1.1\r\n", Some(frame.length()));
        request.frame(&frame, frame.length());
        request.header(&header::AUTHORIZATION, &HeaderValue::from_static("late"));
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{}}"#;
        let text = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\nauthorization: late\r\n\r\n{body}", body.len());
        assert_eq!(request.finish().head, text.as_bytes());
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = Bytes::from(vec![b'x'; JOINED + 1]);
        let mut request = Request::begin(b"POST / HTTP/1.1\r\n", Some(body.len()));
        request.body(body.clone());
        assert_eq!(request.finish().body.as_ptr(), body.as_ptr());
    }
}
