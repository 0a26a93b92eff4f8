use crate::error::Problem;
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const NAME: HeaderName = HeaderName::from_static("mcp-name");
#[cfg(feature = "legacy")]
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
#[cfg(feature = "legacy")]
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// −32020: a header that is missing, unreadable or not what the body says.
pub(super) fn mismatch(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::rpc(400, -32020, message)
}

/// The one value of a header, without the white space around it.
///
/// Two values are refused: an intermediary could have looked at the one that the body does not repeat.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(mismatch(format!("the header {name} stands twice")));
    }
    let text = value.to_str().map_err(|_| mismatch(format!("the header {name} holds invalid characters")))?;
    Ok(Some(text.trim_matches([' ', '\t'])))
}

/// What a header value stands for: itself, or the text in `=?base64?…?=`. `None` where that holds no text.
pub(super) fn decoded(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(code) => Some(Cow::Owned(String::from_utf8(base64(code)?).ok()?)),
        None => Some(Cow::Borrowed(value)),
    }
}

/// Decodes base64 (RFC 4648 §4). Padding is whole or left out; bits that no byte uses must be zero.
fn base64(code: &str) -> Option<Vec<u8>> {
    let whole = code.len().is_multiple_of(4) || !code.ends_with('=');
    if whole { BASE64.decode(code).ok() } else { None }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_and_without_padding_and_nothing_else_is() {
        for (code, text) in
            [("", ""), ("Zg==", "f"), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("w7w=", "ü")]
        {
            assert_eq!(base64(code).as_deref(), Some(text.as_bytes()), "{code}");
        }
        for code in ["Z", "Zg=", "Zh==", "Zm9=", "Zm9v=", "Z!==", "====", "Zm 9v", "Zm9v\n", "-_-_"] {
            assert_eq!(base64(code), None, "{code}");
        }
    }

    #[test]
    fn only_the_sentinel_is_decoded() {
        assert_eq!(decoded("search").unwrap(), "search");
        assert_eq!(decoded("=?base64?w7w=?=").unwrap(), "ü");
        assert_eq!(decoded("=?base64?w7w=").unwrap(), "=?base64?w7w=");
        assert_eq!(decoded("=?base64?/w==?="), None);
    }
}
