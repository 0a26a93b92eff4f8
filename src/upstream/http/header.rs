//! The headers that repeat what a modern body says (2026-07-28, "streamable-http: Value Encoding").

use bytes::Bytes;
use http::HeaderValue;

const OPEN: &[u8] = b"=?base64?";
const CLOSE: &[u8] = b"?=";

/// The header value for `text`: as it is where that survives the way, in base64 with a mark around it otherwise.
pub(super) fn value(text: &str) -> HeaderValue {
    match encoded(text) {
        None => HeaderValue::from_str(text),
        Some(encoded) => HeaderValue::from_maybe_shared(Bytes::from(encoded)),
    }
    .expect("visible ASCII and spaces")
}

/// What stands for `text` in a header, where that cannot itself.
pub(super) fn encoded(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let edge_space = text.starts_with(' ') || text.ends_with(' ');
    // What looks marked already would be decoded by the server.
    let looks_marked = bytes.starts_with(b"=?") && bytes.ends_with(CLOSE);
    if !edge_space && !looks_marked && bytes.iter().fold(true, |plain, b| plain & matches!(b, b' '..=b'~')) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() * 4 / 3 + 16);
    out.extend_from_slice(OPEN);
    base64(&mut out, bytes);
    out.extend_from_slice(CLOSE);
    Some(out)
}

/// Appends the standard alphabet's base64 of `bytes`, with padding (RFC 4648, section 4).
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) & 63;
            out.push(if place <= group.len() { ALPHABET[sextet as usize] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standard_vectors() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            base64(&mut out, text.as_bytes());
            assert_eq!(out, expected.as_bytes());
        }
        let mut out = Vec::new();
        base64(&mut out, &[0xfb, 0xff, 0xbf]);
        assert_eq!(out, b"+/+/");
    }

    #[test]
    fn only_what_would_not_arrive_is_encoded() {
        for plain in ["", "search", "a b", "file:///x?y=1&z=~", "=?", "=?base64?abc"] {
            assert_eq!(value(plain), plain);
        }
        for (text, encoded) in [
            (" a", "=?base64?IGE=?="),
            ("a ", "=?base64?YSA=?="),
            ("a\tb", "=?base64?YQli?="),
            ("é", "=?base64?w6k=?="),
            ("a\r\nX: y", "=?base64?YQ0KWDogeQ==?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(value(text), encoded);
        }
    }
}
