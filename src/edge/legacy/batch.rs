use super::{
    dialogue::{Dialogue, Kept, Said},
    post::{local, told},
    session::Entry,
};
use crate::{
    Revision,
    edge::{
        Body,
        answer::{event_stream, json},
        error::{Refusal, bare},
        incoming::Incoming,
        legacy::Legacy,
        patience::PATIENCE,
        running::Inner,
        writer::Writer,
    },
    json::Message,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use http::{Extensions, Response, StatusCode};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::time::sleep;

/// The most messages in one batch: all of its requests run at once, so it must not outgrow a session's places.
const MAX_BATCH: usize = 64;

/// The messages one request of a batch is answered with.
type Answers = Pin<Box<dyn Stream<Item = Said> + Send>>;

impl Legacy {
    /// Several messages in one array (2025-03-26, "basic: Batching"). Requests run side by side.
    pub(super) async fn batch<S: Inner>(
        &self,
        inner: &Arc<S>,
        entry: Arc<Entry>,
        extensions: Extensions,
        elements: Vec<Bytes>,
    ) -> Result<Response<Body>, Refusal> {
        allow(&entry, &elements)?;
        let mut answers = Vec::new();
        for element in elements {
            answers.extend(answer(inner, &entry, extensions.clone(), element));
        }
        Ok(respond(&entry, answers, self.settings.keep_alive).await)
    }
}

/// Whether the session may send such a batch.
pub(super) fn allow(entry: &Entry, elements: &[Bytes]) -> Result<(), Refusal> {
    let revision = entry.client().map(|client| client.session().revision());
    if revision != Some(Revision::V2025_03_26) {
        return Err(Refusal::invalid("the session's revision has no batches"));
    }
    if elements.len() > MAX_BATCH {
        return Err(Refusal::invalid("too many messages in one batch"));
    }
    Ok(())
}

/// The answers to one message; `None` where it wants none.
fn answer<S: Inner>(inner: &Arc<S>, entry: &Arc<Entry>, extensions: Extensions, element: Bytes) -> Option<Answers> {
    let begun = match Incoming::message(element) {
        Ok(Message::Request { id, method, params }) => {
            let writer = Writer::legacy(id.clone(), &method);
            if let Some(outcome) = local(entry, &method, &params) {
                return Some(one(writer.done(outcome).1.into_bytes()));
            }
            let ticket = entry.begin(&id);
            ticket
                .and_then(|ticket| Dialogue::start(inner, entry, ticket, writer, (method, &params, extensions), false))
        }
        Ok(Message::Notification { method, params }) => {
            let running = told(inner, entry, extensions, method, params).ok()??;
            // An array has no place for the failure of a notification.
            return Some(Box::pin(running.take(1).filter_map(|_| future::ready(None))));
        }
        Ok(Message::Response { id, outcome }) => {
            entry.questions().answer(id.as_ref(), outcome);
            return None;
        }
        Err(refusal) => Err(refusal),
    };
    Some(match begun {
        Ok(dialogue) => Box::pin(Kept::new(dialogue)),
        Err(refusal) => one(refusal.message()),
    })
}

fn one(message: Bytes) -> Answers {
    Box::pin(stream::iter([Said::Last(message.into(), None)]))
}

/// One array where only answers come, and come soon; an event stream otherwise.
async fn respond(entry: &Arc<Entry>, answers: Vec<Answers>, keep_alive: Duration) -> Response<Body> {
    if answers.is_empty() {
        return bare(StatusCode::ACCEPTED);
    }
    let mut merged = stream::select_all(answers);
    let patience = sleep(PATIENCE);
    tokio::pin!(patience);
    let mut collected = Vec::new();
    loop {
        let next = tokio::select! {
            next = merged.next() => next,
            () = &mut patience => break,
        };
        match next {
            None => return array(&collected),
            Some(Said::Last(message, _)) => collected.push(message.into_bytes()),
            Some(said) => {
                collected.push(said.into_message());
                break;
            }
        }
    }
    let messages = stream::iter(collected.into_iter().map(Said::Meanwhile)).chain(merged);
    event_stream(entry.say(Box::pin(messages)), keep_alive)
}

/// Nothing but the messages; none at all where each was taken back.
fn array(messages: &[Bytes]) -> Response<Body> {
    if messages.is_empty() {
        return bare(StatusCode::ACCEPTED);
    }
    let mut out = Vec::with_capacity(messages.iter().map(|message| message.len() + 1).sum::<usize>() + 1);
    for (n, message) in messages.iter().enumerate() {
        out.push(if n == 0 { b'[' } else { b',' });
        out.extend_from_slice(message);
    }
    out.push(b']');
    json(StatusCode::OK, Bytes::from(out))
}
