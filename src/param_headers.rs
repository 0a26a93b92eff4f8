use crate::{error::Problem, field::Field};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;

pub(crate) const PREFIX: &str = "mcp-param-";
/// The most arguments of one tool that are repeated in headers: servers of HTTP take a hundred headers of a request, some
/// of which are others.
pub(crate) const MAX_ANNOTATIONS: usize = 64;
/// The longest way to such an argument, all names together in bytes: each keeps its own, and a server may give all of
/// them one that begins with a name as long as a message.
pub(crate) const MAX_PATH: usize = 1 << 10;
/// The longest name that a tool gives such a header, in bytes: all headers of a request together have 8 KiB at many servers,
/// and names are kept for as long as the tool is listed.
pub(crate) const MAX_HEADER: usize = 256;

/// The `Mcp-Param-*` headers of a client's call, in its [`extensions`](crate::Call): the only ones of a client's headers
/// that go on to a server, and only to a modern one (2026-07-28, "streamable-http: Custom Headers").
///
/// They repeat arguments for intermediaries. Arguments are not changed on the way, so the headers are sent on as they
/// came. Which argument a header repeats is written in the tool's schema, so [`Route`](crate::route::Route), which knows
/// the tool, compares the two; a header that no annotation names says nothing about the call, and passes.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, ParamHeaders, json::Params};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("mcp-param-region", "eu".parse()?);
/// headers.insert("authorization", "Bearer secret".parse()?);
///
/// let mut call = Call::new(Method::TOOLS_CALL, Params::empty());
/// call.extensions.insert(ParamHeaders::of(&headers).unwrap());
/// assert_eq!(call.extensions.get::<ParamHeaders>().unwrap().iter().count(), 1);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug)]
pub struct ParamHeaders(HeaderMap);

impl ParamHeaders {
    /// Those among the headers of a request; `None` if there are none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut found = HeaderMap::new();
        for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with(PREFIX)) {
            found.append(name, value.clone());
        }
        (!found.is_empty()).then_some(Self(found))
    }

    /// The one value of a header, without the white space around it.
    pub(crate) fn single(&self, name: &HeaderName) -> Result<Option<&str>, Problem> {
        Field::of(&self.0, name).single(name)
    }

    /// Each name with each of its values.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter()
    }
}

/// −32020: a header that is missing, unreadable or not what the body says.
pub(crate) fn mismatch(message: impl Into<Cow<'static, str>>) -> Problem {
    Problem::rpc(400, -32020, message)
}

/// What a header value stands for: itself, or the text in `=?base64?…?=`. `None` where that holds no text.
///
/// Padding must be there, and bits that no byte uses must be zero, so that one text has one encoding: what an
/// intermediary's reader makes of a lax one is not known here.
pub(crate) fn decoded(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(code) => Some(Cow::Owned(String::from_utf8(STANDARD.decode(code).ok()?).ok()?)),
        None => Some(Cow::Borrowed(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_its_padding_and_nothing_else_is() {
        let read = |code: &str| decoded(&format!("=?base64?{code}?=")).map(Cow::into_owned);
        for (code, text) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("w7w=", "ü")] {
            assert_eq!(read(code).as_deref(), Some(text), "{code}");
        }
        for code in
            ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "Zm9vYg", "Z!==", "====", "Zm 9v", "Zm9v\n", "-_-_", "/w=="]
        {
            assert_eq!(read(code), None, "{code}");
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
