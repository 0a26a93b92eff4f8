use super::{Caller, Heard, Phase, Shared, State};
use crate::{
    Method,
    json::{Id, Message, Params},
    metrics::Count,
    reply::Note,
    upstream::{
        Hop, ask,
        backoff::Backoff,
        hop::MISSED,
        http::{
            Endpoint, MAX_UNREAD,
            body::{Arrival, Messages},
            question::Questions,
        },
    },
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// The longest wait before the next attempt that a server may ask for.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// The longest parameters, in bytes, of what is told outside of calls: as many as may wait for a listener come to 1 MiB. Of a
/// change with longer ones it is told that it may be any of its kind, and anything else is dropped.
const MAX_PARAMS: usize = (1 << 20) / MAX_UNREAD;
/// Tells that what a question wanted was done elsewhere (2025-11-25, "client/elicitation").
const ELICITED: &str = "notifications/elicitation/complete";

/// Keeps the stream open, and hands what comes down it to those it is for.
pub(super) struct Reader {
    endpoint: Arc<Endpoint>,
    /// A copy: the stream ends with the last reference to the session's own.
    hop: Arc<Hop>,
    shared: Arc<Shared>,
    /// Whether the stream was open before.
    opened: bool,
    /// After which event it can go on.
    last_event_id: Option<HeaderValue>,
    backoff: Backoff,
    /// What was asked outside of calls.
    questions: Questions,
}

enum Found {
    Stream(Box<Messages>),
    Later,
    Never(Phase),
}

impl Reader {
    pub(super) fn new(endpoint: Arc<Endpoint>, hop: &Hop, shared: Arc<Shared>) -> Self {
        let copy = Hop::new(hop.revision, hop.epoch);
        if let Some(id) = hop.session_id() {
            copy.set_session_id(id.clone());
        }
        let copy = Arc::new(copy);
        let questions = Questions::new(&endpoint, &copy);
        let backoff = Backoff::default();
        Self { endpoint, hop: copy, shared, opened: false, last_event_id: None, backoff, questions }
    }

    /// Goes on until nobody uses the stream, or there is none.
    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        loop {
            let phase = tokio::select! {
                phase = self.read() => phase,
                () = shared.unused() => Phase::Closed,
            };
            let mut state = shared.lock();
            // Somebody may have come just now.
            if phase == Phase::Closed && *shared.users.borrow() > 0 {
                continue;
            }
            state.running = false;
            shared.phase.send_replace(phase);
            return;
        }
    }

    /// Reads, and opens the stream anew when it ends; says why there is none.
    async fn read(&mut self) -> Phase {
        loop {
            let mut wait = match self.open().await {
                Found::Never(phase) => return phase,
                Found::Later => {
                    self.last_event_id = None;
                    Duration::ZERO
                }
                Found::Stream(mut messages) => {
                    self.shared.phase.send_replace(Phase::Open);
                    // Whatever breaks the stream, a new one is what mends it.
                    loop {
                        let message = tokio::select! {
                            never = self.questions.answering() => match never {},
                            message = messages.next() => message,
                        };
                        let Ok(Some(message)) = message else { break };
                        // Of what has arrived no message is waited for: a server that floods must leave the thread to others.
                        tokio::task::coop::consume_budget().await;
                        self.backoff.reset();
                        // Results come with the requests they answer, and so do their parts.
                        if let Arrival::Message(message) = message {
                            self.take(message);
                        }
                    }
                    self.shared.phase.send_replace(Phase::Closed);
                    self.last_event_id = messages.last_event_id.take();
                    messages.retry.unwrap_or_default().min(LONGEST_RETRY)
                }
            };
            wait = wait.max(self.backoff.next());
            tokio::time::sleep(wait).await;
        }
    }

    async fn open(&mut self) -> Found {
        let request = self.endpoint.get(&self.hop, self.last_event_id.as_ref());
        let response = self.endpoint.client.send(request).await;
        let messages = match response.map(|response| (response.status(), response)) {
            Ok((StatusCode::OK, response)) => Messages::read(response, self.endpoint.client.limit(), None).ok(),
            // The stream was there before, so it is the session that is not found.
            Ok((StatusCode::NOT_FOUND, _)) if self.opened => return Found::Never(Phase::Lost),
            // The server has not noticed yet that the stream before is closed.
            Ok((StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _)) | Err(_) => {
                return Found::Later;
            }
            Ok((status, _)) if status.is_server_error() => return Found::Later,
            // It may be the event that is not known any more.
            Ok(_) if self.last_event_id.is_some() => return Found::Later,
            // It may be the session: not all servers that do not know one say 404.
            Ok((StatusCode::BAD_REQUEST, _)) => return Found::Never(Phase::Refused),
            Ok(_) => None,
        };
        let Some(messages) = messages.filter(Messages::is_stream) else { return Found::Never(Phase::Absent) };
        // A stream that goes on after the last event replays what was said meanwhile.
        let gap = self.opened && self.last_event_id.is_none();
        let (gap, listeners) = {
            let mut state = self.shared.lock();
            (std::mem::take(&mut state.missed) || gap, state.listeners)
        };
        if gap && listeners > 0 {
            MISSED.into_iter().for_each(|method| self.tell(Note::new(method, Params::empty())));
        }
        self.opened = true;
        Found::Stream(Box::new(messages))
    }

    fn tell(&self, mut note: Note) {
        if note.params.as_bytes().len() > MAX_PARAMS {
            if !MISSED.contains(&note.method) {
                return self.endpoint.client.count(Count::Notification);
            }
            note.params = Params::empty();
        }
        // Without a listener nobody wants to know.
        let _ = self.endpoint.notes.send((Arc::as_ptr(&self.shared).addr(), note));
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Notification { method, params } => {
                // It may wait for long, and must not keep a message alive that is larger than what counts.
                self.note(Note::new(method, params.unshared()));
            }
            Message::Request { id, method, params } => self.asked(id, method, params.unshared()),
            // Answers come with the request they answer.
            Message::Response { .. } => {}
        }
    }

    fn note(&mut self, note: Note) {
        let shared = self.shared.clone();
        let state = shared.lock();
        if note.method == Method::CANCELLED {
            let id = note.params.member("requestId").and_then(|id| Id::from_json(id).ok());
            id.iter().for_each(|id| self.questions.withdraw(id));
            for call in state.calls.values().filter(|_| id.is_some()) {
                call.hand(Heard::Withdrawn(id.clone().expect("filtered")));
            }
        } else if note.method == Method::PROGRESS {
            // Under a token of ours, which is the id of a call.
            let token = note.params.told_number();
            if let Some(call) = token.and_then(|id| state.calls.get(&id)) {
                self.hand(call, note);
            }
        } else if note.method == Method::MESSAGE || note.method.as_str() == ELICITED {
            if let Some(call) = state.addressee() {
                self.hand(call, note);
            } else if let Some(client) = state.client.as_ref().and_then(Weak::upgrade) {
                drop(state);
                client.tell(note);
            }
        } else {
            drop(state);
            self.tell(note);
        }
    }

    fn hand(&self, call: &Caller, note: Note) {
        if !call.hand(Heard::Note(note)) {
            self.endpoint.client.count(Count::Notification);
        }
    }

    fn asked(&mut self, id: Id, method: Method, params: Params) {
        let frame = match ask::at_once(&id, &method) {
            Some(frame) => frame,
            None => {
                if offer(&self.shared.lock(), &id, &method, &params) {
                    return;
                }
                // It can be meant for nobody but the client whose session this is.
                let client = self.shared.lock().client.as_ref().and_then(Weak::upgrade);
                match client {
                    Some(client) => {
                        return self.questions.asked(id, method, params).into_iter().for_each(|ask| client.ask(ask));
                    }
                    None => self.refused(&id, &method),
                }
            }
        };
        self.endpoint.client.detach(self.endpoint.post(&self.hop, None, frame));
    }

    fn refused(&self, id: &Id, method: &Method) -> Bytes {
        let server = &self.endpoint.id;
        tracing::warn!(%server, question = %method, "a question on the stream of a session belongs to no call for certain");
        ask::nobody(id)
    }
}

/// Gives a question to the call it belongs to; `false` if that is not certain, or it does not listen.
fn offer(state: &State, id: &Id, method: &Method, params: &Params) -> bool {
    let call = state.addressee();
    call.is_some_and(|call| call.hand(Heard::Ask(id.clone(), method.clone(), params.clone())))
}

#[cfg(test)]
mod tests;
