use super::InvalidServer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Uri, header, uri::Authority};

/// The address of a server, and the header that stands for the user in it.
///
/// Left in the address it would never be sent, and whoever logs where a connection goes would tell it.
pub(super) fn parse(url: &str) -> Result<(Uri, HeaderMap), InvalidServer> {
    let wrong = |why: &str| InvalidServer::new("connection.url", format!("{why}, such as http://localhost:3510"));
    let uri: Uri = url.parse().map_err(|_| wrong("must be an absolute address"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
        _ => return Err(wrong("must begin with http:// or https:// and name a host")),
    }
    let mut headers = HeaderMap::new();
    let mut parts = uri.into_parts();
    if let Some((user, host)) = parts.authority.as_ref().and_then(|authority| authority.as_str().rsplit_once('@')) {
        let code = STANDARD.encode(decoded(user).ok_or_else(|| wrong("must have a readable user before the host"))?);
        let mut basic = HeaderValue::from_str(&format!("Basic {code}")).expect("base64 is visible ASCII");
        basic.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, basic);
        parts.authority = Some(host.parse::<Authority>().map_err(|_| wrong("must name a host"))?);
    }
    Ok((Uri::from_parts(parts).expect("all parts are those of an address"), headers))
}

/// The bytes that a text with `%` escapes stands for.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_the_address_becomes_a_header() {
        let read = |url| parse(url).map(|(uri, headers)| (uri.to_string(), headers.get("authorization").cloned()));
        let basic = |code| Some(HeaderValue::from_static(code));
        assert_eq!(read("http://h:1/p?q").unwrap(), ("http://h:1/p?q".into(), None));
        assert_eq!(read("http://a:b@h:1/p?q").unwrap(), ("http://h:1/p?q".into(), basic("Basic YTpi")));
        assert_eq!(read("http://a%40b:%3a@h").unwrap(), ("http://h/".into(), basic("Basic YUBiOjo=")));
        assert_eq!(read("http://a@h").unwrap().1, basic("Basic YQ=="));
        for url in ["http://a%4@h", "http://a%zz@h", "http://@", "ftp://h", "h", "http://"] {
            assert!(read(url).is_err(), "{url}");
        }
    }
}
