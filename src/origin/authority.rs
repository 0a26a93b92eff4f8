use std::net::{Ipv4Addr, Ipv6Addr};

/// A host with its port, if one is written: borrowed from a request, which is compared and forgotten, or kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostPort<T = Box<str>> {
    host: T,
    port: Option<u16>,
}

impl<'a> HostPort<&'a str> {
    /// `None` for what is no `host[:port]` (RFC 3986, section 3.2.2); credentials before the host are none either.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (name, host) = match text.strip_prefix('[') {
            Some(address) => {
                let name = &address[..address.find(']')?];
                if !name.bytes().all(|byte| is_part_of_name(byte) || byte == b':') {
                    return None;
                }
                (name, &text[..name.len() + 2])
            }
            None => {
                let name = &text[..text.bytes().position(|byte| !is_part_of_name(byte)).unwrap_or(text.len())];
                (name, name)
            }
        };
        if name.is_empty() {
            return None;
        }
        let rest = &text[host.len()..];
        let port = if rest.is_empty() { None } else { Some(port(rest.strip_prefix(':')?)?) };
        Some(Self { host, port })
    }

    pub(super) fn to_owned(self) -> HostPort {
        HostPort { host: self.host.into(), port: self.port }
    }
}

/// Looked up rather than compared: each request's host is gone through.
fn is_part_of_name(byte: u8) -> bool {
    const PARTS: [bool; 256] = {
        let (mut parts, mut byte) = ([false; 256], 0);
        while byte < 256 {
            parts[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%'
                    | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
            byte += 1;
        }
        parts
    };
    PARTS[usize::from(byte)]
}

/// Digits alone: `u16` would read a sign too.
fn port(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl<T: AsRef<str>> HostPort<T> {
    /// Whether this name always means the machine itself. `localhost.` and sub-domains are left out: what they resolve
    /// to is not agreed on.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host.as_ref();
        let v6 = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
        // The usual ones by their text: each request's host is told so.
        host == "127.0.0.1"
            || host.eq_ignore_ascii_case("localhost")
            || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || v6().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether `asked` is this host; an entry without a port stands for every port.
    pub(super) fn covers<U: AsRef<str>>(&self, asked: &HostPort<U>) -> bool {
        self.host.as_ref().eq_ignore_ascii_case(asked.host.as_ref()) && (self.port.is_none() || self.port == asked.port)
    }
}

/// The page a request comes from: scheme and authority, in lower case, with the scheme's own port left out.
#[derive(Clone, Debug)]
pub(super) struct Page {
    scheme: Box<str>,
    at: HostPort,
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.at.port == other.at.port && self.at.covers(&other.at)
    }
}

impl Page {
    #[inline(never)]
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let mut at = HostPort::parse(authority)?.to_owned();
        match (&*scheme, at.port) {
            ("http", Some(80)) | ("https", Some(443)) => at.port = None,
            _ => {}
        }
        Some(Self { scheme: scheme.into(), at })
    }

    pub(super) fn is_loopback(&self) -> bool {
        matches!(&*self.scheme, "http" | "https") && self.at.is_loopback()
    }

    /// The host a page of this origin would be served from, on any port.
    pub(super) fn host(&self) -> HostPort {
        HostPort { host: self.at.host.clone(), port: None }
    }
}
