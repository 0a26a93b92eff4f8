use super::Terms;
use crate::auth::WELL_KNOWN;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};

/// What the gateway says about itself to a client that has no token yet. It is public: that is what it is for.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Metadata {
    /// The path of the resource, without the slash at its end.
    path: Box<str>,
    /// The absolute address of the document.
    pub(in crate::auth) url: Box<str>,
    document: Bytes,
}

impl Metadata {
    pub(super) fn of(terms: &Terms) -> Self {
        let resource = &terms.resource;
        let path = resource.path().trim_end_matches('/');
        let (scheme, authority) = (resource.scheme_str().unwrap_or_default(), resource.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let mut document = serde_json::json!({
            "resource": without_slash(resource),
            "authorization_servers": [terms.issuer],
            "bearer_methods_supported": ["header"],
        });
        if !terms.scopes.is_empty() {
            document["scopes_supported"] = serde_json::json!(terms.scopes);
        }
        Self {
            path: path.into(),
            url: format!("{scheme}://{authority}{WELL_KNOWN}{path}").into(),
            document: document.to_string().into(),
        }
    }

    /// The answer to a request for `path`, which begins with [`WELL_KNOWN`]; `None` for another resource's.
    ///
    /// The one without the resource's path is for clients that only know the host.
    pub(in crate::auth) fn answer<B: From<Bytes>>(&self, method: &Method, path: &str) -> Option<Response<B>> {
        let of = path.strip_prefix(WELL_KNOWN)?.trim_end_matches('/');
        if !of.is_empty() && of != &*self.path {
            return None;
        }
        let read = [Method::GET, Method::HEAD].contains(method);
        let mut response = Response::new(if read { self.document.clone() } else { Bytes::new() }.into());
        let headers = response.headers_mut();
        if read {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
        } else {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
        Some(response)
    }
}

/// A resource at the root of its host is written without the slash that a URL of HTTP always has.
fn without_slash(resource: &Uri) -> String {
    let text = resource.to_string();
    if is_root(resource) { text.trim_end_matches('/').into() } else { text }
}

fn is_root(resource: &Uri) -> bool {
    resource.path() == "/" && resource.query().is_none()
}

/// What tokens for `resource` may have as audience: what is written and what the document says, because clients ask for that;
/// of a whole host the same with the slash at its end, too.
pub(super) fn spellings(written: &str, resource: &Uri) -> Vec<Box<str>> {
    let told = without_slash(resource);
    let slashed = is_root(resource).then(|| format!("{told}/").into());
    [written.into(), told.into()].into_iter().chain(slashed).collect()
}
