use crate::header::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use http::{HeaderName, Method, Version};
use std::ops::Range;

/// The names of MCP's headers, which are none of HTTP's own: known, they need not be copied and checked with each request.
static KNOWN: [HeaderName; 4] = [MCP_SESSION_ID, MCP_PROTOCOL_VERSION, MCP_METHOD, MCP_NAME];

/// The lines of a head that is complete: where each stands in it, without what ends it.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

/// What the first line of a request says, and where in the head its target stands (RFC 9112, section 3).
pub(super) struct Start {
    pub(super) method: Method,
    pub(super) target: Range<usize>,
    pub(super) version: Version,
}

/// A header, and where in the head its value stands (RFC 9112, section 5).
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: Range<usize>,
}

impl<'a> Lines<'a> {
    /// Each line of `text` ends in CRLF, and the last is empty.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The first line; `None` if it is not that of a request of HTTP/1.
    pub(super) fn start(&mut self) -> Option<Start> {
        let Range { start, end } = self.next()?;
        let line = &self.text[start..end];
        let method = line.iter().position(|byte| *byte == b' ')?;
        let target = method + 1 + line[method + 1..].iter().position(|byte| *byte == b' ')?;
        let version = match &line[target + 1..] {
            b"HTTP/1.1" => Version::HTTP_11,
            b"HTTP/1.0" => Version::HTTP_10,
            _ => return None,
        };
        if !line[method + 1..target].iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let target = start + method + 1..start + target;
        Some(Start { method: Method::from_bytes(&line[..method]).ok()?, target, version })
    }

    /// The next header; `None` if the line is none.
    ///
    /// White space before the colon, or before the name, is no part of a name, so that a line which another reader would
    /// take for the end of the one before is refused.
    pub(super) fn header(&self, line: Range<usize>) -> Option<Header> {
        let Range { start, end } = line;
        let line = &self.text[start..end];
        let colon = line.iter().position(|byte| *byte == b':')?;
        let value = value(line, colon);
        Some(Header { name: name(&line[..colon])?, value: start + value.start..start + value.end })
    }
}

/// Where the value stands in a line with a colon there: white space around it is no part of it.
pub(super) fn value(line: &[u8], colon: usize) -> Range<usize> {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let value = &line[colon + 1..];
    let before = value.iter().take_while(is_space).count();
    let after = value[before..].iter().rev().take_while(is_space).count();
    colon + 1 + before..line.len() - after
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, rest) = (self.at, self.text.get(self.at..)?);
        let end = start + memchr::memchr(b'\n', rest)?.checked_sub(1)?;
        self.at = end + 2;
        (end > start).then_some(start..end)
    }
}

fn name(bytes: &[u8]) -> Option<HeaderName> {
    let is_it = |known: &&HeaderName| known.as_str().as_bytes().eq_ignore_ascii_case(bytes);
    match KNOWN.iter().find(is_it) {
        Some(known) => Some(known.clone()),
        None => HeaderName::from_bytes(bytes).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The method, the target and the minor version.
    type Said = (String, String, u8);
    type Headers = Vec<(String, Vec<u8>)>;

    /// What httparse reads in a head.
    fn reference(text: &[u8]) -> Option<(Said, Headers)> {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(text).ok()?.is_complete().then_some(())?;
        let header = |header: &httparse::Header<'_>| (header.name.to_ascii_lowercase(), header.value.to_vec());
        let headers = request.headers.iter().map(header).collect();
        Some(((request.method?.into(), request.path?.into(), request.version?), headers))
    }

    fn read(text: &[u8]) -> Option<(Said, Headers)> {
        let mut lines = Lines::of(text);
        let Start { method, target, version } = lines.start()?;
        let mut headers = Vec::new();
        while let Some(line) = lines.next() {
            let Header { name, value } = lines.header(line)?;
            headers.push((name.to_string(), text[value].to_vec()));
        }
        let target = String::from_utf8(text[target].to_vec()).ok()?;
        Some(((method.to_string(), target, u8::from(version == Version::HTTP_11)), headers))
    }

    proptest! {
        /// Another reader of heads sees in them what is seen here, wherever both take them for heads.
        #[test]
        fn what_is_read_is_what_httparse_reads(
            start in prop::sample::select(vec!["GET / HTTP/1.1", "POST /mcp HTTP/1.0", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ",
                "GET /a b HTTP/1.1", "GET / HTTP/2.0", "GET /", "G\u{1}T / HTTP/1.1", "é / HTTP/1.1",
                "GET /\u{7f} HTTP/1.1", "GET /é HTTP/1.1", "GET  HTTP/1.1"]),
            headers in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![
                "host", "Mcp-Session-Id", "x", ":", ": ", "\t", " ", "a", "é", "\r", "\0", "\u{7f}", ",", "\"",
            ]), 0..6), 0..5),
        ) {
            let lines: Vec<_> = headers.iter().map(|line| line.concat()).filter(|line| !line.is_empty()).collect();
            let text = format!("{start}\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
            if let (Some(here), Some(there)) = (read(text.as_bytes()), reference(text.as_bytes())) {
                prop_assert_eq!(here, there);
            }
        }
    }

    #[test]
    fn the_names_of_mcp_are_read_however_they_are_written() {
        for known in ["MCP-Session-Id", "mcp-protocol-version", "Mcp-Method", "mcp-NAME", "mcp-other"] {
            assert_eq!(name(known.as_bytes()).unwrap().as_str(), known.to_ascii_lowercase());
        }
        for bad in ["", "a b", " a", "a ", "a\t", "a\u{7f}", "é", "a\""] {
            assert_eq!(name(bad.as_bytes()), None, "{bad}");
        }
    }
}
