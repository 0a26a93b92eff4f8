use super::{Ear, Heard};
use crate::{
    BoxError, Call, Method, Reply,
    error::never_sent,
    json::{Json, object::Edit},
    meta,
    reply::{Event, Events, Note},
    upstream::{
        Hop, OfClient,
        error::SessionLost,
        http::{Endpoint, question::Questions},
    },
};
use futures_util::{StreamExt, future::BoxFuture, stream};
use std::{future, sync::Arc};

/// A call of a client in a session, with what the server says to it beside its response: questions and log messages on
/// the session's own stream, which may come before so much as the head of the response.
pub(in crate::upstream::http) async fn told(
    endpoint: Arc<Endpoint>,
    call: Call,
    hop: Arc<Hop>,
    of: OfClient,
) -> Result<Reply, BoxError> {
    let id = endpoint.next_id();
    let ear = hop.line.join(&endpoint, &hop, id, (&call, of));
    if of.hears {
        hop.line.ready().await;
    }
    let mut told = Told {
        questions: Questions::new(&endpoint, &hop),
        token: call.params.progress_token(),
        response: Response::Waiting(Box::pin(endpoint.exchange(id, &call, hop.clone()))),
        ear,
        hop,
    };
    let first = match told.next().await? {
        Event::Done(outcome) => return Ok(Reply::single(outcome)),
        event => event,
    };
    let rest = stream::unfold(told, |mut told| async move { Some((told.next().await, told)) });
    Ok(Reply::stream(stream::once(future::ready(Ok(first))).chain(rest)))
}

struct Told {
    /// Those on the stream of the session; the response has its own.
    questions: Questions,
    response: Response,
    ear: Ear,
    token: Option<Json>,
    hop: Arc<Hop>,
}

enum Response {
    Waiting(BoxFuture<'static, Result<Reply, BoxError>>),
    Reading(Events),
}

impl Response {
    /// The next event. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Result<Event, BoxError> {
        loop {
            match self {
                Response::Reading(events) => {
                    return events.next().await.unwrap_or_else(|| Err(crate::error::Unfinished::new().into()));
                }
                Response::Waiting(reply) => match reply.await?.into_single() {
                    Ok(outcome) => return Ok(Event::Done(outcome)),
                    Err(events) => *self = Response::Reading(events),
                },
            }
        }
    }
}

impl Told {
    async fn next(&mut self) -> Result<Event, BoxError> {
        loop {
            let event = tokio::select! {
                biased;
                never = self.questions.answering() => match never {},
                // What was said before the end comes before the end.
                heard = self.ear.hear() => self.heard(heard),
                event = self.response.next() => return self.responded(event),
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    fn heard(&mut self, heard: Heard) -> Option<Event> {
        match heard {
            Heard::Ask(id, method, params) => {
                self.questions.asked(id, method, params).map(|ask| Event::Ask(ask.inferred()))
            }
            Heard::Note(note) if note.method == Method::PROGRESS => {
                let token = self.token.as_ref()?;
                let params = note.params.edit(&[Edit::Set(meta::PROGRESS_TOKEN, token.as_bytes())]);
                Some(Event::Note(Note::new(note.method, params)))
            }
            Heard::Note(note) => Some(Event::Note(note)),
            Heard::Withdrawn(id) => {
                self.questions.withdraw(&id);
                None
            }
        }
    }

    fn responded(&mut self, event: Result<Event, BoxError>) -> Result<Event, BoxError> {
        match &event {
            Ok(Event::Done(_)) => self.ear.over(),
            Err(error) if crate::error::find::<SessionLost>(&**error).is_some() => {
                self.ear.over();
                // Who listens begins anew in the session that comes after this one.
                self.hop.line.close();
            }
            Err(error) if never_sent(&**error) => self.ear.over(),
            _ => {}
        }
        event
    }
}
