use super::{
    Endpoint, answer,
    body::{Arrival, Messages},
    question::Questions,
    reading::Reading,
    response::Response,
};
use crate::{
    BoxError, Call, Method,
    error::{find, never_sent},
    header::MCP_SESSION_ID,
    json::{Id, Json, Message, Params, object::Edit, write::Frame},
    meta,
    reply::{Event, Note, Outcome},
    upstream::{
        error::{Closed, Protocol},
        hop::Hop,
    },
};
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode};
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

/// Messages without an event that are read at one go. A server can write such (progress of a call that nobody made) faster than
/// they are read; so whoever polls gets its turn at deadlines and at its client.
const AT_ONE_GO: usize = 32;

/// One request and the messages that answer it, from before it is written to the outcome.
pub(super) struct Exchange {
    endpoint: Arc<Endpoint>,
    hop: Arc<Hop>,
    /// The request's id, and the token of its progress.
    id: u64,
    method: Method,
    /// The call's own progress token.
    token: Option<Json>,
    /// What the server asked and has no answer to.
    /// `None` until the server asks: few do, and each call would count two more references.
    questions: Option<Questions>,
    /// Whether the server is to be told when nobody waits any more.
    cancels: bool,
    response: Response,
    /// Resumptions since the last event.
    resumes: u32,
    /// A resumption that is under way.
    resuming: Option<BoxFuture<'static, Result<(Messages, u32), BoxError>>>,
}

impl Reading for Exchange {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, BoxError>>> {
        let mut idle = 0;
        loop {
            // Answers go out while the server is silent, which it is until it has them.
            if let Some(questions) = &mut self.questions {
                questions.poll_answers(cx);
            }
            if let Some(resuming) = &mut self.resuming {
                match ready!(resuming.as_mut().poll(cx)) {
                    Ok((messages, resumes)) => (self.response, self.resumes) = (Response::Coming(messages), resumes),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
                self.resuming = None;
            }
            let messages = match &mut self.response {
                Response::Coming(messages) => messages,
                Response::Refused(outcome) => {
                    return outcome.as_mut().poll(cx).map(|outcome| Some(outcome.map(Event::Done)));
                }
                Response::Awaited(..) => match ready!(self.poll_head(cx)) {
                    Ok(()) => continue,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
            };
            let ended = match ready!(messages.poll_next(cx)) {
                Ok(Some(Arrival::Part(part))) => {
                    // It has been answered; only the client can break that off, by closing the response.
                    self.cancels = false;
                    return Poll::Ready(Some(Ok(Event::Part(part))));
                }
                Ok(Some(Arrival::End { id, members })) => {
                    return Poll::Ready(Some(self.answered(id.as_ref(), Outcome::Passed(members))));
                }
                Ok(Some(Arrival::Message(message))) => {
                    self.resumes = 0;
                    if let Some(event) = self.take(message) {
                        return Poll::Ready(Some(event));
                    }
                    idle += 1;
                    if idle == AT_ONE_GO {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    continue;
                }
                Ok(None) if !messages.is_stream() => {
                    self.cancels = false;
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
    /// Makes a request of a call, which is written when this is polled. It keeps what it needs of the call and not the call:
    /// it is moved, and as large as all that it holds.
    pub(super) fn begin(endpoint: Arc<Endpoint>, id: u64, call: &Call, hop: Arc<Hop>) -> Self {
        let token = call.params.progress_token();
        let params = token.as_ref().map(|_| with_token(&call.params, id));
        let params = params.as_ref().unwrap_or(&call.params).as_bytes();
        let request = endpoint.call(&hop, call, &Frame { id, method: &call.method, params });
        // Between the eras an answer is put into other words.
        let in_parts = call.in_parts && call.session.is_none() == hop.is_modern();
        let response = Response::Awaited(endpoint.client.begin_sending(request), in_parts);
        // Modern servers see the response closed and must be told nothing more; `initialize` must not be cancelled
        // (2025-11-25, "cancellation").
        let cancels = !hop.is_modern() && call.method != Method::INITIALIZE;
        let (questions, resumes, resuming) = (None, 0, None);
        Self { endpoint, hop, id, method: call.method.clone(), token, questions, cancels, response, resumes, resuming }
    }

    /// Whether the server may know of the request.
    pub(super) fn is_sent(&self) -> bool {
        !matches!(&self.response, Response::Awaited(sending, _) if !sending.has_begun())
    }

    /// Waits for the head of the response, and looks what there is to read behind it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Response::Awaited(sending, in_parts) = &mut self.response else { return Poll::Ready(Ok(())) };
        let in_parts = in_parts.then_some(self.id);
        let sent = ready!(sending.poll(&self.endpoint.client, cx));
        // What was answered, in whatever way, is not to be cancelled; nor is what never left.
        let cancels = std::mem::take(&mut self.cancels);
        let head = match sent {
            Ok(head) => head,
            Err(error) => {
                self.cancels = cancels && !never_sent(&*error);
                return Poll::Ready(Err(error));
            }
        };
        if !head.status().is_success() {
            let (endpoint, hop, method) = (self.endpoint.clone(), self.hop.clone(), self.method.clone());
            let refused = async move { answer::refused(&endpoint.client, head, &hop, &method).await };
            self.response = Response::Refused(Box::pin(refused));
            return Poll::Ready(Ok(()));
        }
        if self.method == Method::INITIALIZE
            && let Some(session) = head.header(&MCP_SESSION_ID)
            && let Ok(session) = HeaderValue::from_bytes(session)
        {
            self.hop.set_session_id(session);
        }
        if matches!(head.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Poll::Ready(Err(Protocol("a request was accepted without an answer".into()).into()));
        }
        self.response = Response::Coming(Messages::read(head, self.endpoint.client.limit(), in_parts)?);
        self.cancels = cancels;
        Poll::Ready(Ok(()))
    }

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
        self.cancels = false;
        if let Response::Coming(messages) = &mut self.response {
            messages.finish();
        }
        Ok(Event::Done(outcome))
    }

    #[inline(never)]
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
        note.alone = matches!(&self.response, Response::Coming(messages) if messages.is_drained());
        Some(Event::Note(note))
    }

    /// Goes on reading a stream that ended with `error` before the outcome, where the server can replay it.
    #[cold]
    fn resume(&mut self, error: BoxError) -> Result<(), BoxError> {
        let Response::Coming(messages) = &self.response else { return Err(error) };
        let Some(last) = messages.last_event_id.clone().filter(|_| !self.hop.is_modern()) else {
            return Err(error);
        };
        let (endpoint, hop, retry) = (self.endpoint.clone(), self.hop.clone(), messages.retry);
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

impl Drop for Exchange {
    /// The server learns that nobody waits before it can see the response closed.
    fn drop(&mut self) {
        if self.cancels && self.is_sent() {
            self.endpoint.cancel(&self.hop, self.id);
        }
    }
}

pub(super) fn another_id() -> Protocol {
    Protocol("the answer has another request's id".into())
}

/// The parameters with the request's id as progress token: unique among all that run, as a token must be.
pub(super) fn with_token(params: &Params, id: u64) -> Params {
    params.edit_meta(&[Edit::Set(meta::PROGRESS_TOKEN, itoa::Buffer::new().format(id).as_bytes())])
}
