use super::{questions::Questions, waiter::Waiter};
use crate::{
    BoxError, Method,
    json::{Json, Params},
    meta,
    reply::{Note, Outcome},
    upstream::{OfClient, Outbound, hop::MISSED, quiet::Whose},
};
use std::collections::VecDeque;

/// Notes of one call that nobody has read yet: enough for a burst between two polls.
pub const MAX_NOTES: usize = 64;
/// Bytes of unread notes of one call; a single larger note is still taken if nothing else waits.
pub const MAX_NOTE_BYTES: usize = 1 << 20;

/// A message of which no more than half are parameters is not kept with them, if it is longer than this: a message that is not
/// gives as much as it says in [`MAX_NOTE_BYTES`], and as many of this length as there may be notes are no more either.
const MAX_KEPT_WITH: usize = MAX_NOTE_BYTES / MAX_NOTES;

/// What takes a server time that is its own.
const WORK: [Method; 4] = [Method::TOOLS_CALL, Method::PROMPTS_GET, Method::RESOURCES_READ, Method::COMPLETE];

/// What a slot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    /// A question that any server answers at once: whether it is there.
    Check,
    /// Must not be cancelled.
    Initialize,
    /// `subscriptions/listen` of a modern server: also gets the notes that carry its id as subscription id.
    Subscription,
    /// Gets what belongs to no call; has no request at the server.
    Listener,
}

impl Kind {
    pub(super) fn of(method: &Method) -> Self {
        if *method == Method::INITIALIZE {
            Kind::Initialize
        } else if *method == Method::LISTEN {
            Kind::Subscription
        } else if *method == Method::PING || *method == Method::DISCOVER {
            Kind::Check
        } else {
            Kind::Call
        }
    }
}

/// What has arrived for one call and is not read yet.
pub(super) struct Slot {
    pub(super) kind: Kind,
    /// The frame was handed to the connection, so the server may have seen it.
    pub(super) begun: bool,
    /// The call's own progress token; without one, progress is not delivered.
    pub(super) token: Option<Json>,
    /// What the server asks and logs may be meant for whoever made the call.
    pub(super) of_client: bool,
    /// Whoever made it makes all calls of this channel.
    pub(super) alone: bool,
    pub(super) whose: Whose,
    /// The server is of 2026-07-28.
    pub(super) modern: bool,
    /// The server may be busy with it, for as long as it takes.
    pub(super) is_work: bool,
    /// An answer that was lost may have been its own.
    pub(super) suspect: bool,
    /// Messages the server had sent when it was opened.
    pub(super) heard: u64,
    pub(super) questions: Questions,
    pub(super) notes: VecDeque<Note>,
    bytes: usize,
    pub(super) outcome: Option<Result<Outcome, BoxError>>,
    /// Stays true after the outcome was taken.
    over: bool,
    pub(super) waker: Option<Waiter>,
}

impl Slot {
    pub(super) fn new(kind: Kind, token: Option<Json>) -> Self {
        let (notes, begun) = (VecDeque::new(), kind == Kind::Listener);
        let (of_client, whose, questions) = (false, Whose::Sessionless, Questions::default());
        Self {
            kind,
            begun,
            token,
            of_client,
            alone: false,
            whose,
            modern: false,
            is_work: false,
            suspect: false,
            heard: 0,
            questions,
            notes,
            bytes: 0,
            outcome: None,
            over: false,
            waker: None,
        }
    }

    /// The slot of this call. A modern server logs for calls that ask for it, and asks nothing.
    pub(super) fn of_client(mut self, Outbound { call, hop }: &Outbound) -> Self {
        self.of_client = match hop.is_modern() {
            true => call.params.meta_member(meta::LOG_LEVEL).is_some(),
            false => matches!(self.kind, Kind::Call | Kind::Check) && call.extensions.get::<OfClient>().is_some(),
        };
        self.alone = call.extensions.get::<OfClient>().is_some_and(|of| of.alone);
        self.whose = Whose::of(call);
        self.modern = hop.is_modern();
        self.is_work = WORK.contains(&call.method);
        self
    }

    /// The server has it and did not answer yet.
    pub(super) fn is_open(&self) -> bool {
        self.begun && !self.over
    }

    /// Whether an answer that names nobody may be its own. A subscription is answered when it ends, which is seldom.
    pub(super) fn awaits_answer(&self) -> bool {
        self.is_open() && !matches!(self.kind, Kind::Listener | Kind::Subscription)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Keeps the outcome, if it is the first.
    pub(super) fn end(&mut self, outcome: Result<Outcome, BoxError>) -> Option<Waiter> {
        if self.over {
            return None;
        }
        self.over = true;
        self.outcome = Some(outcome);
        self.waker.take()
    }

    /// Keeps a note under the bounds; `Err` if it had to be dropped.
    pub(super) fn push(&mut self, note: Note) -> Result<Option<Waiter>, ()> {
        if self.over || self.says_the_same(&note) {
            return Ok(None);
        }
        let size = size(&note);
        if self.notes.len() >= MAX_NOTES || (!self.notes.is_empty() && self.bytes + size > MAX_NOTE_BYTES) {
            let is_progress = |note: &Note| note.method == Method::PROGRESS;
            let victim = if is_progress(&note) {
                self.notes.iter().rposition(is_progress)
            } else {
                self.notes.iter().position(is_progress)
            };
            let victim = victim.ok_or(())?;
            self.bytes -= self.notes.remove(victim).map_or(0, |note| self::size(&note));
            if !self.notes.is_empty() && self.bytes + size > MAX_NOTE_BYTES {
                return Err(());
            }
        }
        self.bytes += size;
        self.notes.push_back(note);
        Ok(self.waker.take())
    }

    /// What was not read may have been anything, and is said so in its place.
    pub(super) fn miss(&mut self) -> Option<Waiter> {
        self.notes = MISSED.into_iter().map(|method| Note::new(method, Params::empty())).collect();
        self.bytes = self.notes.iter().map(size).sum();
        self.waker.take()
    }

    pub(super) fn pop(&mut self) -> Option<Note> {
        let note = self.notes.pop_front()?;
        self.bytes -= size(&note);
        Some(note)
    }

    fn says_the_same(&self, note: &Note) -> bool {
        // One without a URI is about every resource.
        let is_about = |unread: &Note| unread.params.uri().is_none_or(|uri| note.params.uri() == Some(uri));
        let says_it = |unread: &Note| note.method != Method::RESOURCES_UPDATED || is_about(unread);
        MISSED.contains(&note.method) && self.notes.iter().any(|unread| unread.method == note.method && says_it(unread))
    }
}

/// A note that arrived in a message of so many bytes, as it is to be kept: [`size`] is about what it keeps alive.
pub(super) fn kept(method: Method, params: Params, message: usize) -> Note {
    let is_small_part = message > MAX_KEPT_WITH && params.as_bytes().len() <= message / 2;
    Note::new(method, if is_small_part { params.unshared() } else { params })
}

fn size(note: &Note) -> usize {
    note.params.as_bytes().len()
}

#[cfg(test)]
mod tests;
