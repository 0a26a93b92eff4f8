use super::{Endpoint, header};
use crate::{Call, Method, ParamHeaders, upstream::Hop};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header as standard};
use http_body_util::Full;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

impl Endpoint {
    /// One message as a POST; `call` is the request or notification in it, if it is one of a client's.
    pub(super) fn post(&self, hop: &Hop, call: Option<&Call>, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = self.client.request(http::Method::POST, &self.url, body);
        let headers = request.headers_mut();
        headers.insert(standard::CONTENT_TYPE, JSON);
        headers.insert(standard::ACCEPT, EITHER);
        agreed(headers, hop);
        if let Some(call) = call
            && hop.is_modern()
        {
            mirror(headers, call);
            match call.extensions.get::<ParamHeaders>() {
                Some(given) => given.iter().for_each(|(name, value)| {
                    headers.append(name.clone(), value.clone());
                }),
                None if call.method == Method::TOOLS_CALL => headers.extend(self.annotations.headers(call)),
                None => {}
            }
        }
        request
    }

    /// A GET that opens, or resumes after event `last`, a stream of the session.
    pub(super) fn get(&self, hop: &Hop, last: Option<&HeaderValue>) -> Request<Full<Bytes>> {
        let mut request = self.client.request(http::Method::GET, &self.url, Bytes::new());
        let headers = request.headers_mut();
        headers.insert(standard::ACCEPT, EVENT_STREAM);
        agreed(headers, hop);
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, last.clone());
        }
        request
    }

    /// A DELETE of the session.
    pub(super) fn delete(&self, hop: &Hop) -> Request<Full<Bytes>> {
        let mut request = self.client.request(http::Method::DELETE, &self.url, Bytes::new());
        agreed(request.headers_mut(), hop);
        request
    }
}

/// What every request of a hop carries.
fn agreed(headers: &mut HeaderMap, hop: &Hop) {
    if let Some(revision) = hop.revision {
        headers.insert(VERSION, HeaderValue::from_static(revision.as_str()));
    }
    if let Some(session) = hop.session_id()
        && !hop.is_modern()
    {
        headers.insert(SESSION, session.clone());
    }
}

/// The parts of a modern body that stand in headers as well, for intermediaries that do not read bodies.
fn mirror(headers: &mut HeaderMap, call: &Call) {
    headers.insert(METHOD, header::value(call.method.as_str()));
    let name = match &call.method {
        m if *m == Method::TOOLS_CALL || *m == Method::PROMPTS_GET => call.params.name(),
        m if *m == Method::RESOURCES_READ => call.params.uri(),
        _ => None,
    };
    if let Some(name) = name {
        headers.insert(NAME, header::value(&name));
    }
}
