use super::{Kind, Mux, State, lost::Reason, slot, waiter::Waiter};
use crate::{
    Method,
    json::{Id, Json, MAX_BATCH, Malformed, Message, elements},
    meta,
    metrics::Count,
    reply::{Note, Outcome},
    upstream::error::Protocol,
};
use bytes::Bytes;
use std::sync::atomic::Ordering::Relaxed;

/// Tells that what a question wanted was done elsewhere (2025-11-25, "client/elicitation").
const ELICITED: &str = "notifications/elicitation/complete";

impl Mux {
    /// Takes one message of the server, or a batch of them, and hands it to the call it belongs to. Never waits.
    ///
    /// Requests of the server are answered through [`outgoing`](Mux::outgoing). Answers to finished calls are ignored, as
    /// the protocol asks. One under an id that was never given out, or a message that breaks off, can only be meant for
    /// a call in flight: where there is exactly one, that one fails; where there are several, the one that is left when
    /// all others are answered. On a [pure](Mux::pure) channel that goes for whatever is no message at all.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if this is no JSON-RPC; where an id can be read nevertheless, that call fails with [`Protocol`].
    pub fn deliver(&self, message: Bytes) -> Result<(), Malformed> {
        self.shared.heard.fetch_add(1, Relaxed);
        if message.trim_ascii_start().first() != Some(&b'[') {
            let whole = message.len();
            return self.deliver_one(message, whole);
        }
        // Batches are of 2025-03-26 only, but a server that sends one means it.
        let messages = elements(&message, MAX_BATCH).inspect_err(|malformed| self.broken(malformed, Meant::Hardly))?;
        let messages = messages.unwrap_or_default();
        messages.into_iter().map(|one| self.deliver_one(one, message.len())).fold(Ok(()), Result::and)
    }

    /// Hands on a message that arrived in one of `whole` bytes.
    fn deliver_one(&self, message: Bytes, whole: usize) -> Result<(), Malformed> {
        match Message::of_server(message.clone()) {
            Ok(Message::Response { id, outcome }) => self.settle(id.as_ref(), outcome.into()),
            Ok(Message::Notification { method, params }) => self.note(slot::kept(method, params, whole)),
            Ok(Message::Request { id, method, params }) => self.asked(id, method, params),
            Err(malformed) => {
                self.broken(&malformed, looks_meant(&message));
                return Err(malformed);
            }
        }
        Ok(())
    }

    /// Fails the call that a message which is none must be of, once it is known.
    fn broken(&self, malformed: &Malformed, begun: Meant) {
        if malformed.asks() {
            return;
        }
        if let Some(id) = malformed.id().and_then(Id::as_u64) {
            return self.fail(id, Protocol(malformed.to_string().into()));
        }
        let mut state = self.lock();
        // What does not even look like a message is what some programs print beside them, JSON logs among it.
        let meant = match begun {
            Meant::Surely => true,
            Meant::UnlessWhole => !malformed.is_json(),
            Meant::Hardly => false,
        };
        let wakers =
            if meant || state.pure { state.lose(Reason::Protocol(malformed.to_string().into())) } else { Vec::new() };
        drop(state);
        wakers.into_iter().for_each(Waiter::wake);
    }

    fn settle(&self, id: Option<&Id>, outcome: Outcome) {
        let mut state = self.lock();
        if id.is_some_and(|id| id.as_u64().is_none_or(|id| id == 0 || id > state.last_id)) {
            let wakers = state.lose(Reason::Protocol("the answer has an id that no request had".into()));
            drop(state);
            return wakers.into_iter().for_each(Waiter::wake);
        }
        let slot = match id {
            Some(id) => id.as_u64(),
            None => state.only_call(),
        };
        slot.into_iter().for_each(|id| state.heard(id));
        // An error without an id may also answer one of the notifications, as some servers do.
        let Some(id) = slot else { return };
        let slot = state.slots.get_mut(&id).filter(|slot| slot.kind != Kind::Listener);
        let waker = slot.and_then(|slot| slot.end(Ok(outcome)));
        let cleared = state.clear(id);
        drop(state);
        waker.into_iter().chain(cleared).for_each(Waiter::wake);
    }

    fn note(&self, note: Note) {
        let mut state = self.lock();
        let wakers = if note.method == Method::PROGRESS {
            state.progress(note)
        } else if note.method == Method::CANCELLED {
            state.ended(&note)
        } else if note.method == Method::MESSAGE || note.method.as_str() == ELICITED {
            match state.only_client() {
                Some(id) => state.push(id, note),
                None => {
                    let session = state.only_session();
                    drop(state);
                    return session.into_iter().for_each(|session| session.tell(note.clone()));
                }
            }
        } else if let Some(subscription) = note.params.meta_member(meta::SUBSCRIPTION_ID) {
            let id = number(subscription).filter(|id| state.is(*id, Kind::Subscription));
            id.map(|id| state.push(id, note)).unwrap_or_default()
        } else {
            let listeners = state.listeners.clone();
            listeners.into_iter().flat_map(|id| state.push(id, note.clone())).collect()
        };
        let more = !state.outgoing.is_empty();
        drop(state);
        wakers.into_iter().for_each(Waiter::wake);
        if more {
            self.shared.outgoing.notify_one();
        }
    }
}

/// The end of a subscription.
fn complete() -> Outcome {
    Outcome::Result(Json::from_static(r#"{"resultType":"complete"}"#))
}

impl State {
    /// The call that an answer without an id must belong to: the only one the server has.
    fn only_call(&self) -> Option<u64> {
        let mut open = self.slots.iter().filter(|(_, slot)| slot.awaits_answer());
        match (open.next(), open.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    }

    /// Progress under a token of ours goes to its call, under the call's own token.
    fn progress(&mut self, mut note: Note) -> Vec<Waiter> {
        let Some(id) = note.params.told_number() else { return Vec::new() };
        let Some(own) = self.slots.get(&id).and_then(|slot| slot.token.clone()) else { return Vec::new() };
        note.params.tell(&own);
        let cleared = self.clear(id);
        self.push(id, note).into_iter().chain(cleared).collect()
    }

    /// A server ends a subscription by cancelling it (2026-07-28, "basic/patterns/cancellation"), and takes back a
    /// question of its own; it can cancel nothing else, because everything else it may simply answer.
    fn ended(&mut self, note: &Note) -> Vec<Waiter> {
        let id = note.params.member("requestId").and_then(number);
        let Some(id) = id.filter(|id| self.is(*id, Kind::Subscription)) else { return self.withdrawn(note) };
        self.slots.get_mut(&id).and_then(|slot| slot.end(Ok(complete()))).into_iter().collect()
    }

    fn is(&self, id: u64, kind: Kind) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.kind == kind)
    }

    fn push(&mut self, id: u64, note: Note) -> Vec<Waiter> {
        match self.slots.get_mut(&id).map(|slot| slot.push(note)) {
            Some(Ok(waker)) => waker.into_iter().collect(),
            Some(Err(())) => self.overflowed(id).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A note was one too many. Who listens for changes must not take the lists for those that it knows.
    fn overflowed(&mut self, id: u64) -> Option<Waiter> {
        self.drop_one(Count::Notification);
        let slot = self.slots.get_mut(&id)?;
        match slot.kind {
            Kind::Listener => slot.miss(),
            // Whoever is told that it is over asks anew, and then for the lists.
            Kind::Subscription => {
                let waker = slot.end(Ok(complete()));
                self.cancel(id, "too much of it is unread");
                waker
            }
            Kind::Call | Kind::Check | Kind::Initialize => None,
        }
    }
}

/// Whether a text that is no message was meant to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    Surely,
    /// If it is JSON, it says all it wants to say, and that is something else.
    UnlessWhole,
    Hardly,
}

/// Looks at how a text begins. Objects as programs print them for people have other keys, or none in quotes.
fn looks_meant(text: &[u8]) -> Meant {
    if memchr::memmem::find(text, b"\"jsonrpc\"").is_some() {
        return Meant::Surely;
    }
    let key = text.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start).unwrap_or_default();
    let answers = [&b"\"id\""[..], b"\"result\"", b"\"error\""];
    if answers.iter().any(|name| key.starts_with(name)) { Meant::UnlessWhole } else { Meant::Hardly }
}

/// An id or token of ours, which some servers hand back as a string.
fn number(json: Json) -> Option<u64> {
    Id::from_json(json).ok()?.as_u64()
}
