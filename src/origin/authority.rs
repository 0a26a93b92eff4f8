use http::uri::Authority;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A host with its port, if one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    host: Box<str>,
    port: Option<u16>,
}

impl HostPort {
    /// `None` for what is no `host[:port]`; credentials before the host are none either.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        // Found anew each time it is asked for.
        let host = authority.host();
        if host.is_empty() || text.contains('@') {
            return None;
        }
        let port = if text.len() > host.len() { Some(authority.port_u16()?) } else { None };
        Some(Self { host: host.to_ascii_lowercase().into(), port })
    }

    /// Whether this name always means the machine itself. `localhost.` and sub-domains are left out: what they resolve
    /// to is not agreed on.
    pub(super) fn is_loopback(&self) -> bool {
        let host = &*self.host;
        let v6 = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
        host == "localhost"
            || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || v6().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether `asked` is this host; an entry without a port stands for every port.
    pub(super) fn covers(&self, asked: &HostPort) -> bool {
        self.host == asked.host && (self.port.is_none() || self.port == asked.port)
    }
}

/// The page a request comes from: scheme and authority, in lower case, with the scheme's own port left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    scheme: Box<str>,
    at: HostPort,
}

impl Page {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let mut at = HostPort::parse(authority)?;
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
