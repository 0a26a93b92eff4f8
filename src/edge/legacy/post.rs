use super::{
    dialogue::{Dialogue, Kept, Said},
    session::{Entry, LEVELS},
};
use crate::{
    Method,
    edge::{
        Body,
        answer::{PATIENCE, deliver, event_stream, json},
        error::{Refusal, bare, retry_after},
        incoming::Incoming,
        legacy::Legacy,
        running::{Inner, Running},
        writer::Writer,
    },
    error::Problem,
    json::{Id, Json, Params},
    reply::Outcome,
};
use futures_util::{StreamExt, stream};
use http::{Extensions, Response, StatusCode, request::Parts};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::timeout;

impl Legacy {
    /// What a client of Streamable HTTP posts.
    pub(super) async fn post_message<S: Inner>(
        &self,
        inner: &Arc<S>,
        parts: &mut Parts,
        incoming: Incoming,
    ) -> Result<Response<Body>, Refusal> {
        let extensions = std::mem::take(&mut parts.extensions);
        let incoming = match incoming {
            Incoming::Request { id, method, params } if method == Method::INITIALIZE => {
                return Box::pin(self.initialize(inner, extensions, id, params)).await;
            }
            other => other,
        };
        let entry = self.named(parts, &extensions, incoming.id())?;
        // Boxed is what is rare, or small: the future has room for the largest of them all the time.
        match incoming {
            Incoming::Request { id, method, params } => match begin(inner, &entry, extensions, id, method, params)? {
                Begun::Answered(response) => Ok(response),
                Begun::Running(said) => Ok(respond(&entry, said, self.settings.keep_alive).await),
            },
            Incoming::Notification { method, params } => {
                Box::pin(notification(inner, &entry, extensions, method, params)).await
            }
            Incoming::Response { id, outcome } => {
                entry.questions().answer(id.as_ref(), outcome);
                Ok(bare(StatusCode::ACCEPTED))
            }
            Incoming::Batch(elements) => Box::pin(self.batch(inner, &entry, &extensions, elements)).await,
        }
    }

    fn named(&self, parts: &Parts, extensions: &Extensions, id: Option<&Id>) -> Result<Arc<Entry>, Refusal> {
        let entry = self.session(&parts.headers, extensions);
        let entry =
            entry.and_then(|entry| entry.ok_or_else(|| Refusal::invalid("the header Mcp-Session-Id is missing")));
        entry.map_err(|refusal| id.into_iter().fold(refusal, Refusal::with_id))
    }
}

/// What became of a request at once.
enum Begun {
    Answered(Response<Body>),
    Running(Kept),
}

fn begin<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    id: Id,
    method: Method,
    params: Params,
) -> Result<Begun, Refusal> {
    let writer = Writer::legacy(id.clone(), &method);
    if let Some(outcome) = local(entry, &method, &params) {
        let (status, message) = writer.done(outcome);
        return Ok(Begun::Answered(json(status, message)));
    }
    let ticket = entry.begin(&id)?;
    let dialogue = Dialogue::start(inner, entry, ticket, writer, (method, params, extensions), true)?;
    Ok(Begun::Running(Kept::new(dialogue)))
}

/// Answers a request: JSON where the answer comes first, an event stream where something comes before it or nothing
/// comes for ten seconds.
#[expect(clippy::manual_async_fn, reason = "its future would hold a parameter twice that it changes")]
fn respond(entry: &Arc<Entry>, mut said: Kept, keep_alive: Duration) -> impl Future<Output = Response<Body>> {
    async move {
        let first = match timeout(PATIENCE, said.next()).await {
            Ok(Some(Said::Last(message, delay))) => {
                let mut response = json(StatusCode::OK, message);
                if let Some(delay) = delay {
                    retry_after(response.headers_mut(), delay);
                }
                return response;
            }
            Ok(Some(Said::Part(first))) => return said.respond(first).unwrap_or_else(|| bare(StatusCode::ACCEPTED)),
            Ok(Some(first)) => Some(first),
            // Taken back by the client, who wants no answer.
            Ok(None) => return bare(StatusCode::ACCEPTED),
            Err(_) => None,
        };
        let messages = stream::iter(first).chain(said.whole()).map(Said::into_message);
        event_stream(entry.say(Box::pin(messages)), keep_alive)
    }
}

async fn notification<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    method: Method,
    params: Params,
) -> Result<Response<Body>, Refusal> {
    match told(inner, entry, extensions, method, params)? {
        Some(running) => deliver(running).await,
        None => Ok(bare(StatusCode::ACCEPTED)),
    }
}

/// What a notification makes of itself: nothing more to do, or a call to hand on.
pub(in crate::edge) fn told<S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    method: Method,
    params: Params,
) -> Result<Option<Running>, Refusal> {
    if !method.is_notification() {
        return Err(Refusal::invalid("a request must have an id"));
    }
    if method == Method::INITIALIZED {
        return Ok(None);
    }
    if method == Method::CANCELLED {
        if let Some(Ok(id)) = params.member("requestId").map(Id::from_json) {
            entry.cancel(&id);
        }
        return Ok(None);
    }
    let call = entry.call(method, &params, extensions).ok_or_else(super::no_session)?;
    Ok(Some(Running::start(inner, call)))
}

/// The outcome of requests that the edge answers itself.
pub(super) fn local(entry: &Entry, method: &Method, params: &Params) -> Option<Outcome> {
    // Of the later revision, or no request at all; behind the edge they would mean something else.
    let foreign = [Method::DISCOVER, Method::LISTEN, Method::INITIALIZE].contains(method) || method.is_notification();
    match method {
        method if *method == Method::PING => Some(empty()),
        method if *method == Method::SET_LEVEL => Some(set_level(entry, params)),
        method if foreign => Some(unknown(method)),
        _ => None,
    }
}

fn set_level(entry: &Entry, params: &Params) -> Outcome {
    let asked = params.member("level").and_then(|level: Json| level.read::<String>().ok());
    match LEVELS.into_iter().find(|level| Some(*level) == asked.as_deref()) {
        Some(level) => {
            entry.set_level(level);
            empty()
        }
        None => Outcome::Error(Problem::rpc(200, -32602, "\"level\" must be a log level").to_json()),
    }
}

fn unknown(method: &Method) -> Outcome {
    Outcome::Error(Problem::rpc(200, -32601, format!("the method {method} is not known in this session")).to_json())
}

fn empty() -> Outcome {
    Outcome::Result(Json::from_static("{}"))
}
