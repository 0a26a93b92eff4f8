use super::{
    Endpoint,
    body::{Arrival, Messages},
    cancel::Cancel,
    question::Questions,
    reading::Reading,
};
use crate::{
    BoxError, Method,
    error::find,
    json::{Id, Json, Message, Params, object::Edit},
    meta,
    reply::{Event, Note, Outcome},
    upstream::{
        error::{Closed, Protocol},
        hop::Hop,
    },
};
use futures_util::future::BoxFuture;
use http::StatusCode;
use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

/// How often in a row a stream is resumed without an event coming of it.
const MAX_RESUMES: u32 = 10;

/// The wait before a stream is resumed where the server names none, and the longest one it may name.
const RESUME_AFTER: Duration = Duration::from_secs(1);
const LONGEST_RESUME: Duration = Duration::from_secs(30);

/// One request and the messages that answer it.
pub(super) struct Exchange {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) hop: Arc<Hop>,
    /// The request's id, and the progress token in its place.
    pub(super) id: u64,
    pub(super) method: Method,
    /// The call's own progress token.
    pub(super) token: Option<Json>,
    /// What the server asked and has no answer to.
    /// `None` until the server asks: few do, and each call would count two more references.
    pub(super) questions: Option<Questions>,
    // Before the messages: the server learns that nobody waits before it can see the response closed.
    pub(super) cancel: Cancel,
    pub(super) messages: Messages,
    /// Resumptions since the last event.
    pub(super) resumes: u32,
    /// A resumption that is under way.
    pub(super) resuming: Option<BoxFuture<'static, Result<(Messages, u32), BoxError>>>,
}

impl Reading for Exchange {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>> {
        loop {
            // Answers go out while the server is silent, which it is until it has them.
            if let Some(questions) = &mut self.questions {
                questions.poll_answers(cx);
            }
            if let Some(resuming) = &mut self.resuming {
                match ready!(resuming.as_mut().poll(cx)) {
                    Ok(resumed) => (self.messages, self.resumes) = resumed,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
                self.resuming = None;
            }
            let ended = match ready!(self.messages.poll_next(cx)) {
                Ok(Some(Arrival::Part(part))) => {
                    // It has been answered; only the client can break that off, by closing the response.
                    self.cancel.disarm();
                    return Poll::Ready(Some(Ok(Event::Part(part))));
                }
                Ok(Some(Arrival::End { id, members })) => {
                    return Poll::Ready(Some(self.answered(id.as_ref(), Outcome::Passed(members))));
                }
                Ok(Some(Arrival::Message(message))) => {
                    self.resumes = 0;
                    match self.take(message) {
                        None => continue,
                        event => return Poll::Ready(event),
                    }
                }
                Ok(None) if !self.messages.is_stream() => {
                    self.cancel.disarm();
                    Err(Protocol("the answer does not answer the request".into()).into())
                }
                Ok(None) => self.resume(Closed { sent: true }.into()),
                Err(error) if find::<Closed>(&*error).is_some() => self.resume(error),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl Exchange {
    /// What a message means to the call; `None` if nothing.
    fn take(&mut self, message: Message) -> Option<Result<Event, BoxError>> {
        match message {
            Message::Response { id, outcome } => Some(self.answered(id.as_ref(), outcome.into())),
            Message::Notification { method, params } => self.note(method, params).map(Ok),
            // A modern server asks in its result, and reads no answers.
            Message::Request { .. } if self.hop.is_modern() => None,
            Message::Request { id, method, params } => {
                let questions = self.questions.get_or_insert_with(|| Questions::new(&self.endpoint, &self.hop));
                questions.asked(id, method, params).map(|ask| Ok(ask.into()))
            }
        }
    }

    fn answered(&mut self, id: Option<&Id>, outcome: Outcome) -> Result<Event, BoxError> {
        // An error without an id answers a request that could not be read, and this response has only one.
        if id.is_some_and(|id| id.as_u64() != Some(self.id)) {
            return Err(another_id().into());
        }
        self.cancel.disarm();
        self.messages.finish();
        Ok(Event::Done(outcome))
    }

    fn note(&mut self, method: Method, params: Params) -> Option<Event> {
        if method == Method::CANCELLED {
            let taken_back = params.member("requestId").and_then(|id| Id::from_json(id).ok());
            if let (Some(id), Some(questions)) = (taken_back, &mut self.questions) {
                questions.withdraw(&id);
            }
            // A modern server ends a listening stream so.
            let ended = self.method == Method::LISTEN;
            return ended.then(|| Event::Done(Outcome::Result(Json::from_static("{}"))));
        }
        let mut note = Box::new(Note::new(method, params));
        if note.method == Method::PROGRESS {
            // Progress of something else than this call has no one to go to.
            let ours = note.params.told_number() == Some(self.id);
            note.params.tell(self.token.as_ref().filter(|_| ours)?);
        }
        note.alone = self.messages.is_drained();
        Some(Event::Note(note))
    }

    /// Goes on reading a stream that ended with `error` before the outcome, where the server can replay it.
    fn resume(&mut self, error: BoxError) -> Result<(), BoxError> {
        let Some(last) = self.messages.last_event_id.clone().filter(|_| !self.hop.is_modern()) else {
            return Err(error);
        };
        let (endpoint, hop, retry) = (self.endpoint.clone(), self.hop.clone(), self.messages.retry);
        let mut resumes = self.resumes;
        self.resuming = Some(Box::pin(async move {
            loop {
                resumes += 1;
                if resumes > MAX_RESUMES {
                    return Err(error);
                }
                tokio::time::sleep(retry.unwrap_or(RESUME_AFTER).min(LONGEST_RESUME)).await;
                let Ok(response) = endpoint.client.send(endpoint.get(&hop, Some(&last))).await else { continue };
                if response.status() != StatusCode::OK {
                    return Err(error);
                }
                let mut messages = Messages::read(response, endpoint.client.limit(), None).map_err(|_| error)?;
                (messages.last_event_id, messages.retry) = (Some(last), retry);
                return Ok((messages, resumes));
            }
        }));
        Ok(())
    }
}

pub(super) fn another_id() -> Protocol {
    Protocol("the answer has another request's id".into())
}

/// The parameters with the request's id as progress token: unique among all that run, as a token must be.
pub(super) fn with_token(params: &Params, id: u64) -> Params {
    params.edit_meta(&[Edit::Set(meta::PROGRESS_TOKEN, itoa::Buffer::new().format(id).as_bytes())])
}
