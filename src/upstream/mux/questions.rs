use super::{Mux, State, waiter::Waiter};
use crate::{
    EndpointId, Method,
    json::{Id, Json, Params, write},
    metrics::Count,
    reply::{Answer, Ask, Note},
    upstream::{
        ask::{self, MAX_ASKS},
        quiet::{Order, Quiet, Whose},
    },
};
use std::{collections::VecDeque, mem};

/// The parameters of `server/discover`, which asks for nothing in particular.
const DISCOVER: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;

const UNATTRIBUTABLE: &str = "a question of the server was refused: where calls share one channel it belongs to a \
    call only if no other is in flight; `sessions` of the server's entry says whether they share one";

/// What the server asked in the course of one call and has no answer to.
#[derive(Default)]
pub(super) struct Questions {
    /// Not handed out yet.
    new: VecDeque<(Ask, Asked)>,
    /// All of them, by the server's id.
    open: Vec<Id>,
    /// The server took some back since the reply was read last.
    withdrawn: bool,
}

/// A question that was handed out: the server's id, and whence the answer comes.
pub(super) struct Asked {
    pub(super) id: Id,
    pub(super) answer: Answer,
}

impl Questions {
    pub(super) fn nothing_new(&self) -> bool {
        self.new.is_empty()
    }

    pub(super) fn take(&mut self) -> Option<(Ask, Asked)> {
        self.new.pop_front()
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.open.contains(id)
    }

    /// The ids of all that are open.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Id> {
        self.open.iter()
    }

    /// Whether some were taken back; says so once.
    pub(super) fn any_withdrawn(&mut self) -> bool {
        mem::take(&mut self.withdrawn)
    }

    fn push(&mut self, id: Id, method: Method, params: Params) -> bool {
        if self.open.len() >= MAX_ASKS || self.contains(&id) {
            return false;
        }
        let (ask, answer) = Ask::new(method, params);
        self.open.push(id.clone());
        self.new.push_back((ask.inferred(), Asked { id, answer }));
        true
    }

    /// Forgets those that are open: nobody is there to hear an answer.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn close(&mut self, id: &Id) -> bool {
        let open = self.open.len();
        self.open.retain(|open| open != id);
        self.open.len() != open
    }
}

impl Mux {
    /// A request of the server: a question goes to the call it must belong to, anything else is answered here.
    pub(super) fn asked(&self, id: Id, method: Method, params: Params) {
        let mut state = self.lock();
        // A connection that is gone wants no answers.
        if self.epoch() == 0 {
            return;
        }
        let (mut waker_of_call, mut refused) = (None, None);
        if let Some(frame) = ask::at_once(&id, &method) {
            state.push_outgoing(frame);
        } else {
            let slot = state.only_client().and_then(|call| state.slots.get_mut(&call));
            // Whoever is not given the question still waits for the answer, and is woken by that alone.
            let taken = slot.map(|slot| match slot.questions.push(id.clone(), method.clone(), params) {
                true => Some(slot.waker.take()),
                false => None,
            });
            match taken.flatten() {
                Some(waker) => waker_of_call = waker,
                None => {
                    state.push_outgoing(ask::nobody(&id));
                    state.metrics.count(Count::Question);
                    refused = Some((mem::replace(&mut state.told, true), state.server.clone()));
                }
            }
        }
        drop(state);
        // Whoever writes the log may be slow, and every call needs the lock.
        match refused {
            Some((false, server)) => {
                let server = server.as_ref().map(EndpointId::as_str);
                tracing::warn!(server, question = %method, "{UNATTRIBUTABLE}; further ones are only counted");
            }
            Some((true, _)) => tracing::trace!(question = %method, "{UNATTRIBUTABLE}"),
            None => {}
        }
        waker_of_call.into_iter().for_each(Waiter::wake);
        self.shared.outgoing.notify_one();
    }

    /// Sends what was answered to question `id` of a call, unless the server has taken it back.
    pub(super) fn answer(&self, call: u64, id: &Id, answer: Option<Result<Json, Json>>) {
        let mut state = self.lock();
        if state.slots.get_mut(&call).is_some_and(|slot| slot.questions.close(id)) && self.epoch() != 0 {
            state.push_outgoing(ask::answer(id, answer));
        }
        drop(state);
        self.shared.outgoing.notify_one();
    }
}

impl State {
    /// The call that a question or a log message must belong to: the only one of a client that the server has, or the
    /// oldest where all are of one client.
    pub(super) fn only_client(&self) -> Option<u64> {
        let mut open = self.slots.iter().filter(|(_, slot)| slot.of_client && slot.begun && !slot.is_over());
        let (first, second) = (open.next(), open.next());
        if let (Some((first, slot)), Some((second, _))) = (first, second)
            && slot.alone
        {
            return open.map(|(id, _)| *id).chain([*first, *second]).min();
        }
        match (first, second) {
            (Some((id, slot)), None) => {
                self.quiet.as_ref().is_none_or(|quiet| quiet.admits(&slot.whose)).then_some(*id)
            }
            _ => None,
        }
    }

    /// A client's call was cancelled, of which the server may not have heard yet, `heard` messages after the first
    /// connection began.
    pub(super) fn hush(&mut self, whose: Whose, modern: bool, heard: u64) {
        let sign = (self.order == Order::Kept).then(|| {
            self.last_id += 1;
            let id = Id::from(self.last_id);
            // Each era has one request that any server answers at once.
            self.push_outgoing(match modern {
                true => write::request(&id, &Method::DISCOVER, DISCOVER.as_bytes()),
                false => write::request(&id, &Method::PING, b"{}"),
            });
            self.asked_with_cancellation(heard);
            self.last_id
        });
        self.quiet = Some(Quiet::after(self.quiet.take(), whose, sign, self.order));
    }

    /// The server has answered `id`, which no call has.
    pub(super) fn heard(&mut self, id: u64) {
        if let Some(quiet) = &mut self.quiet {
            quiet.read(id);
        }
    }

    /// The server takes a question back.
    pub(super) fn withdrawn(&mut self, note: &Note) -> Vec<Waiter> {
        let id = note.params.member("requestId").and_then(|id| Id::from_json(id).ok());
        let Some(id) = id else { return Vec::new() };
        let mut slots = self.slots.values_mut();
        let Some(slot) = slots.find(|slot| slot.questions.contains(&id)) else { return Vec::new() };
        slot.questions.close(&id);
        slot.questions.new.retain(|(_, asked)| asked.id != id);
        slot.questions.withdrawn = true;
        slot.waker.take().into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
