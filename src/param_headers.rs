use http::{HeaderMap, HeaderName, HeaderValue};

const PREFIX: &str = "mcp-param-";

/// The `Mcp-Param-*` headers of a client's call, in its [`extensions`](crate::Call): the only ones of a client's headers
/// that go on to a server, and only to a modern one (2026-07-28, "streamable-http: Custom Headers").
///
/// They repeat arguments for intermediaries. Arguments are not changed on the way, so the headers are sent on as they
/// came. They are not compared with the arguments here: which argument a header repeats is written in the tool's schema,
/// which only its server vouches for.
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

    /// Each name with each of its values.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter()
    }
}
