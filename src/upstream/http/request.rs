use super::{Endpoint, header};
use crate::{
    Call, Method, ParamHeaders,
    header::{LAST_EVENT_ID, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, MCP_SESSION_ID},
    json::write::Frame,
    upstream::{
        Hop,
        client::{Client, Request},
    },
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri, header as standard};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

impl Endpoint {
    /// What every POST begins with.
    pub(super) fn opening(client: &Client, url: &Uri) -> Vec<u8> {
        client.opening(&http::Method::POST, url, &[(standard::CONTENT_TYPE, JSON), (standard::ACCEPT, EITHER)])
    }

    /// One message as a POST; `call` is the notification in it, if it is one of a client's.
    pub(super) fn post(&self, hop: &Hop, call: Option<&Call>, body: Bytes) -> Request {
        let mut request = self.head(hop, call, body.len());
        request.body(body);
        request
    }

    /// A request as a POST.
    pub(super) fn call(&self, hop: &Hop, call: &Call, frame: &Frame<'_>) -> Request {
        let length = frame.length();
        let mut request = self.head(hop, Some(call), length);
        request.frame(frame, length);
        request
    }

    fn head(&self, hop: &Hop, call: Option<&Call>, length: usize) -> Request {
        let mut request = self.client.begin(&self.opening, length);
        agreed(&mut request, hop);
        if let Some(call) = call
            && hop.is_modern()
        {
            mirror(&mut request, call);
            match call.extensions.get::<ParamHeaders>() {
                Some(given) => given.iter().for_each(|(name, value)| request.header(name, value)),
                None if call.method == Method::TOOLS_CALL => {
                    for (name, value) in self.annotations.headers(call).iter().flatten() {
                        request.header(name, value);
                    }
                }
                None => {}
            }
        }
        request
    }

    /// A GET that opens, or resumes after event `last`, a stream of the session.
    pub(super) fn get(&self, hop: &Hop, last: Option<&HeaderValue>) -> Request {
        let mut request = self.client.request(&http::Method::GET, &self.url, Bytes::new());
        request.header(&standard::ACCEPT, &EVENT_STREAM);
        agreed(&mut request, hop);
        if let Some(last) = last {
            request.header(&LAST_EVENT_ID, last);
        }
        request
    }

    /// A DELETE of the session.
    pub(super) fn delete(&self, hop: &Hop) -> Request {
        let mut request = self.client.request(&http::Method::DELETE, &self.url, Bytes::new());
        agreed(&mut request, hop);
        request
    }
}

/// What every request of a hop carries.
fn agreed(request: &mut Request, hop: &Hop) {
    if let Some(revision) = hop.revision {
        request.field(&MCP_PROTOCOL_VERSION, revision.as_str().as_bytes());
    }
    if let Some(session) = hop.session_id()
        && !hop.is_modern()
    {
        request.header(&MCP_SESSION_ID, session);
    }
}

/// The parts of a modern body that stand in headers as well, for intermediaries that do not read bodies.
fn mirror(request: &mut Request, call: &Call) {
    repeat(request, &MCP_METHOD, call.method.as_str());
    let name = match &call.method {
        m if *m == Method::TOOLS_CALL || *m == Method::PROMPTS_GET => call.params.name(),
        m if *m == Method::RESOURCES_READ => call.params.uri(),
        _ => None,
    };
    if let Some(name) = name {
        repeat(request, &MCP_NAME, &name);
    }
}

fn repeat(request: &mut Request, name: &HeaderName, text: &str) {
    match header::encoded(text) {
        None => request.field(name, text.as_bytes()),
        Some(encoded) => request.field(name, &encoded),
    }
}
