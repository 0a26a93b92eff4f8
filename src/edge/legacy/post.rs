use super::{
    dialogue::{Dialogue, Kept, Said},
    session::{Entry, LEVELS},
};
use crate::{
    Method,
    edge::{
        Body,
        answer::{deliver, event_stream, json},
        begun::Begun,
        error::{Refusal, bare, retry_after},
        headers::{Head, Target},
        incoming::Incoming,
        legacy::Legacy,
        patience::patiently,
        running::{Inner, Running},
        writer::Writer,
    },
    error::Problem,
    json::{Id, Json, Message, Params},
    reply::Outcome,
};
use futures_util::{StreamExt, stream};
use http::{Extensions, Response, StatusCode};
use std::{future::Future, sync::Arc, time::Duration};

impl Legacy {
    /// What a client of Streamable HTTP posts.
    pub(super) fn post_message<'a, S: Inner>(
        &'a self,
        inner: &'a Arc<S>,
        head: Head<'_>,
        incoming: Incoming,
    ) -> Result<Begun<'a>, Refusal> {
        let Head { target, extensions, .. } = head;
        let incoming = match incoming {
            Incoming::One(Message::Request { id, method, params }) if method == Method::INITIALIZE => {
                return Ok(Begun::waiting(self.initialize(inner, extensions, id, params)));
            }
            other => other,
        };
        let entry = self.named(target, &extensions, incoming.id())?;
        match incoming {
            Incoming::One(Message::Request { id, method, params }) => {
                begin(inner, entry, extensions, id, method, &params)
            }
            Incoming::One(Message::Notification { method, params }) => {
                notification(inner, &entry, extensions, method, params)
            }
            Incoming::One(Message::Response { id, outcome }) => {
                entry.questions().answer(id.as_ref(), outcome);
                Ok(Begun::Answered(bare(StatusCode::ACCEPTED).into()))
            }
            Incoming::Batch(elements) => Ok(Begun::waiting(self.batch(inner, entry, extensions, elements))),
        }
    }

    fn named(&self, target: &Target<'_>, extensions: &Extensions, id: Option<&Id>) -> Result<Arc<Entry>, Refusal> {
        let entry = self.session(target, extensions);
        let entry =
            entry.and_then(|entry| entry.ok_or_else(|| Refusal::invalid("the header Mcp-Session-Id is missing")));
        entry.map_err(|refusal| id.into_iter().fold(refusal, Refusal::with_id))
    }
}

fn begin<'a, S: Inner>(
    inner: &Arc<S>,
    entry: Arc<Entry>,
    extensions: Extensions,
    id: Id,
    method: Method,
    params: &Params,
) -> Result<Begun<'a>, Refusal> {
    if let Some(outcome) = local(&entry, &method, params) {
        let (status, message) = Writer::legacy(id, &method).done(outcome);
        return Ok(Begun::Answered(json(status, message).into()));
    }
    let ticket = entry.begin(&id).map_err(Refusal::overload_answered)?;
    let writer = Writer::legacy(id, &method);
    let dialogue = Dialogue::start(inner, &entry, ticket, writer, (method, params, extensions), true)?;
    Ok(Begun::InSession(entry, Kept::new(dialogue)))
}

/// Answers a request: JSON where the answer comes first, an event stream where something comes before it or nothing
/// comes for ten seconds.
#[expect(clippy::manual_async_fn, reason = "its future would hold a parameter twice that it changes")]
pub(in crate::edge) fn respond(
    entry: &Arc<Entry>,
    mut said: Kept,
    keep_alive: Duration,
) -> impl Future<Output = Response<Body>> {
    async move {
        let first = match patiently(said.next()).await {
            Some(Some(Said::Last(message, delay))) => {
                let mut response = json(StatusCode::OK, message);
                if let Some(delay) = delay {
                    retry_after(response.headers_mut(), delay);
                }
                return response;
            }
            Some(Some(Said::Part(first))) => return said.respond(first).unwrap_or_else(|| bare(StatusCode::ACCEPTED)),
            Some(Some(first)) => Some(first),
            // Taken back by the client, who wants no answer.
            Some(None) => return bare(StatusCode::ACCEPTED),
            None => None,
        };
        let messages = stream::iter(first).chain(said.streamed());
        event_stream(entry.say(Box::pin(messages)), keep_alive)
    }
}

fn notification<'a, S: Inner>(
    inner: &Arc<S>,
    entry: &Arc<Entry>,
    extensions: Extensions,
    method: Method,
    params: Params,
) -> Result<Begun<'a>, Refusal> {
    Ok(match told(inner, entry, extensions, method, params)? {
        Some(running) => Begun::waiting(deliver(running)),
        None => Begun::Answered(bare(StatusCode::ACCEPTED).into()),
    })
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

#[cold]
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
