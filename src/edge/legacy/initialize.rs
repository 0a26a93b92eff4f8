use super::{client::Client, session::Entry, store};
use crate::{
    BoxError, Method, Revision,
    edge::{
        Body,
        answer::json,
        error::{Refusal, retry_after},
        headers,
        legacy::Legacy,
        running::{Inner, Running},
        writer::Writer,
    },
    error::{Problem, Unfinished},
    json::{Id, Json, Params, object::push_member},
    meta,
    reply::{Event, Outcome},
};
use futures_util::StreamExt;
use http::{Extensions, HeaderValue, Response, request::Parts};
use std::sync::Arc;

impl Legacy {
    /// Opens a session of Streamable HTTP.
    pub(super) async fn initialize<S: Inner>(
        &self,
        inner: &S,
        parts: Parts,
        id: Id,
        params: Params,
    ) -> Result<Response<Body>, Refusal> {
        self.sessions.room().map_err(|full| full.with_id(&id))?;
        let session = store::mint()?;
        let (client, answer) = introduce(inner, &session, &params, parts.extensions).await;
        let writer = Writer::legacy(id.clone(), &Method::INITIALIZE);
        let (status, message) = match answer {
            Ok(outcome) => writer.done(outcome),
            Err(error) => {
                let problem = writer.failed(&*error);
                let mut response = json(problem.status, writer.problem(&problem));
                retry_after(response.headers_mut(), &problem);
                return Ok(response);
            }
        };
        let mut response = json(status, message);
        if let Some(client) = client {
            let name = HeaderValue::from_str(&session).expect("hexadecimal digits");
            let entry = Entry::new(session, None);
            entry.introduce(client);
            self.sessions.insert(Arc::new(entry)).map_err(|full| full.with_id(&id))?;
            response.headers_mut().insert(headers::SESSION_ID, name);
        }
        Ok(response)
    }
}

/// The answer to `initialize`, and the client it introduces where they came to an agreement.
///
/// Nothing goes to a server: the answer is that to `server/discover`, in the words of the client's revision.
pub(super) async fn introduce<S: Inner>(
    inner: &S,
    session: &str,
    params: &Params,
    extensions: Extensions,
) -> (Option<Client>, Result<Outcome, BoxError>) {
    let asked = params.member("protocolVersion").and_then(|version| version.read::<String>().ok());
    let Some(asked) = asked else {
        return (None, Err(Problem::rpc(400, -32602, "\"protocolVersion\" must be a string").into()));
    };
    let revision = agreed(&asked);
    let Some(client) = Client::new(session, revision, params) else {
        return (None, Err(Problem::rpc(400, -32602, "the client says too much about itself").into()));
    };
    let mut discover = Running::start(inner, client.call(Method::DISCOVER, &Params::empty(), None, extensions));
    loop {
        return match discover.next().await {
            Some(Ok(Event::Note(_) | Event::Ask(_))) => continue,
            Some(Ok(Event::Done(Outcome::Result(found)))) => {
                (Some(client), Ok(Outcome::Result(result(revision, &found))))
            }
            Some(Ok(Event::Done(outcome))) => (None, Ok(outcome)),
            Some(Err(error)) => (None, Err(error)),
            None => (None, Err(Unfinished::new().into())),
        };
    }
}

/// The revision that was asked for where it is one that opens with `initialize`; some clients ask for a later one,
/// which no handshake leads to.
fn agreed(asked: &str) -> Revision {
    asked.parse().ok().filter(|revision: &Revision| !revision.is_modern()).unwrap_or(Revision::LATEST_LEGACY)
}

/// An `InitializeResult` out of a `DiscoverResult`.
fn result(revision: Revision, found: &Json) -> Json {
    let this = || serde_json::json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")}).to_string();
    let info = found.member(meta::META).and_then(|meta| meta.member(meta::SERVER_INFO));
    let info = info.map_or_else(this, |info| info.to_string());
    let capabilities = found.member("capabilities").unwrap_or(Json::from_static("{}"));
    let mut out = format!("{{\"protocolVersion\":\"{revision}\"").into_bytes();
    push_member(&mut out, "capabilities", capabilities.as_bytes());
    push_member(&mut out, "serverInfo", info.as_bytes());
    if let Some(instructions) = found.member("instructions") {
        push_member(&mut out, "instructions", instructions.as_bytes());
    }
    out.push(b'}');
    Json::trusted(out.into())
}
