use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::io::Write as _;

/// A body up to this size travels in the same buffer, and so in the same segment, as its head; copying it costs less
/// than a second slice to write. In bytes.
const JOINED: usize = 16 << 10;

/// A request as it goes on the wire: its head is written as it is made, and never parsed again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    head: Vec<u8>,
    body: Bytes,
}

impl Request {
    /// The request line of `url`, `fields` that every request of the client carries, and the length of `body`.
    pub(super) fn new(method: &Method, url: &Uri, fields: &[u8], body: Bytes) -> Self {
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let joined = if body.len() <= JOINED { body.len() } else { 0 };
        let mut head = Vec::with_capacity(512 + fields.len() + target.len() + joined);
        head.extend_from_slice(method.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(target.as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        head.extend_from_slice(fields);
        if *method != Method::GET {
            write!(head, "content-length: {}\r\n", body.len()).expect("a Vec takes every byte");
        }
        Self { head, body }
    }

    /// Adds a header; one that stands there already is not replaced.
    pub(crate) fn header(&mut self, name: &HeaderName, value: &HeaderValue) {
        field(&mut self.head, name, value.as_bytes());
    }

    /// What is to be written, in order; nothing can be added to it any more.
    pub(super) fn finish(mut self) -> Wire {
        self.head.extend_from_slice(b"\r\n");
        if self.body.len() > JOINED {
            return Wire { head: self.head, body: self.body };
        }
        self.head.extend_from_slice(&self.body);
        Wire { head: self.head, body: Bytes::new() }
    }
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

fn field(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
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
        let mut request = Request::new(method, &url, &fields(&url, &configured), Bytes::from_static(body));
        request.header(&header::ACCEPT, &HeaderValue::from_static("*/*"));
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
    fn a_large_body_is_not_copied() {
        let body = Bytes::from(vec![b'x'; JOINED + 1]);
        let wire = Request::new(&Method::POST, &Uri::from_static("http://a/"), b"", body.clone()).finish();
        assert_eq!(wire.body.as_ptr(), body.as_ptr());
    }
}
