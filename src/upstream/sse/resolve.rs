//! Addresses relative to others (RFC 3986, section 5), as far as an `endpoint` event needs it.

use crate::upstream::error::Protocol;
use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Where the `endpoint` event of the stream at `base` says to POST.
///
/// # Errors
///
/// [`Protocol`] if it is no address, or one of another origin.
pub(super) fn endpoint(base: &Uri, reference: &str) -> Result<Uri, Protocol> {
    let invalid = || Protocol("the endpoint event holds no address".into());
    if reference.is_empty() {
        return Err(invalid());
    }
    let scheme = base.scheme_str().unwrap_or_default();
    let absolute = if reference.starts_with("//") {
        format!("{scheme}:{reference}").parse::<Uri>()
    } else {
        reference.parse::<Uri>()
    };
    if let Ok(uri) = absolute
        && uri.scheme().is_some()
    {
        let other = || Protocol("the endpoint event names another origin".into());
        return if origin(&uri) == origin(base) { Ok(uri) } else { Err(other()) };
    }
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    };
    // A fragment is never sent.
    let path = path.split('#').next().unwrap_or(path);
    let query = query.map(|query| query.split('#').next().unwrap_or(query));
    let path = match path {
        "" => base.path().to_owned(),
        path if path.starts_with('/') => without_dots(path),
        path => {
            let folder = base.path().rfind('/').map_or("/", |end| &base.path()[..=end]);
            without_dots(&format!("{folder}{path}"))
        }
    };
    at(base, path, query).ok_or_else(invalid)
}

/// The address one segment below `base`, unless that is what `base` ends with already.
pub(super) fn below(base: &Uri, segment: &str) -> Option<Uri> {
    let path = base.path().trim_end_matches('/');
    if path.rsplit('/').next() == Some(segment) {
        return None;
    }
    at(base, format!("{path}/{segment}"), base.query())
}

fn at(base: &Uri, mut path: String, query: Option<&str>) -> Option<Uri> {
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Scheme, host and port, the scheme's own port where none is named.
fn origin(uri: &Uri) -> (Option<String>, Option<String>, Option<u16>) {
    let port = uri.port_u16().or(match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    });
    let host = uri.authority().map(Authority::host).map(str::to_ascii_lowercase);
    (uri.scheme_str().map(str::to_ascii_lowercase), host, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_resolved_against_the_stream() {
        let resolve = |base: &str, reference: &str| endpoint(&base.parse().unwrap(), reference).map(|u| u.to_string());
        for (base, reference, expected) in [
            ("http://h:1/sse", "/message", "http://h:1/message"),
            ("http://h:1/sse?k=1", "/message?session=a/b", "http://h:1/message?session=a/b"),
            ("http://h:1/a/sse", "message", "http://h:1/a/message"),
            ("http://h:1/a/sse", "./message?x", "http://h:1/a/message?x"),
            ("http://h:1/a/b/sse", "../m", "http://h:1/a/m"),
            ("http://h:1/sse", "../../m", "http://h:1/m"),
            ("http://h:1/sse", "?id=7", "http://h:1/sse?id=7"),
            ("http://h:1/sse", "/m#part", "http://h:1/m"),
            ("http://h:1", "m", "http://h:1/m"),
            ("http://h:1/sse", "http://h:1/x", "http://h:1/x"),
            ("http://h/sse", "http://H:80/x", "http://H:80/x"),
            ("http://h:1/sse", "//h:1/x", "http://h:1/x"),
        ] {
            assert_eq!(resolve(base, reference).unwrap(), expected, "{base} {reference}");
        }
        for reference in [
            "",
            "http://evil/x",
            "https://h:1/x",
            "http://h:2/x",
            "//evil/x",
            "http://h:1@evil/x",
            "a b",
            "ftp://h:1/x",
        ] {
            assert!(resolve("http://h:1/sse", reference).is_err(), "{reference}");
        }
    }

    #[test]
    fn the_stream_may_be_below_the_base() {
        let below = |base: &str| below(&base.parse().unwrap(), "sse").map(|uri| uri.to_string());
        assert_eq!(below("http://h:1").unwrap(), "http://h:1/sse");
        assert_eq!(below("http://h:1/a/?k=1").unwrap(), "http://h:1/a/sse?k=1");
        assert_eq!(below("http://h:1/a/sse"), None);
        assert_eq!(below("http://h:1/sse/"), None);
    }
}
