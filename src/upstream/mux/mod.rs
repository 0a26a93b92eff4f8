//! Many calls on one shared channel: which message belongs to which call.
//!
//! A child's stdout and an HTTP+SSE stream carry the answers, the progress and the questions of all calls in one line.
//! [`Mux`] gives each call a *slot* with an id of its own that is never used again, and hands each incoming message to
//! the slot it belongs to. It does no I/O and has no task: a transport writes the frames that [`open`](Mux::open) and
//! [`outgoing`](Mux::outgoing) return, and feeds what it reads into [`deliver`](Mux::deliver).
//!
//! ```
//! use tower_mcp_gateway::{Call, Method, Revision, json::Params, upstream::{Hop, Outbound, mux::Mux}};
//!
//! # tokio_test::block_on(async {
//! let mux = Mux::new();
//! let hop = Hop::new(Some(Revision::V2025_11_25), mux.connect()).into();
//! let (frame, ticket) = mux.open(&Outbound { call: Call::new(Method::PING, Params::empty()), hop })?;
//! assert_eq!(frame, r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#);
//! assert!(mux.begin(ticket.id()));
//! mux.deliver(r#"{"jsonrpc":"2.0","result":{},"id":1}"#.into())?;
//! assert!(ticket.await?.as_single().is_some());
//! # Ok::<(), tower_mcp_gateway::BoxError>(())
//! # }).unwrap();
//! ```
//!
//! # Who waits for whom
//!
//! Nobody for anybody. What a call has not read yet waits in its slot, under [`MAX_NOTES`] and [`MAX_NOTE_BYTES`]; past
//! them a progress note takes the place of the latest unread one (it says more than that one did), any other note
//! takes the place of the oldest unread progress note, and where there is none it is dropped and
//! [counted](Mux::dropped). The outcome has a place of its own and is never dropped. An unread `list_changed` makes
//! a second one of its kind superfluous.
//!
//! # Questions
//!
//! A question of the server goes to the one client's call in flight. Where there are several, or none, nothing says whose
//! it is, and it is refused: showing one client what another's call wants to know would be worse. For the same reason
//! no other client is asked for [`QUIET`] after a call was cancelled, which may have asked before it heard of that, or
//! for a fifth of it once the server has shown, by answering another request, that it did hear. Where clients cannot be told
//! apart, nobody is until then.
//! Log messages go the same way; one that belongs to no call is for the session that has made all calls of the
//! connection, if one has.
//!
//! # Answers that cannot be read
//!
//! A message that breaks off, an answer under an id that was never given out, or one above the limit of which the id was
//! not kept, is the answer of one of the calls in flight. If there is only one, that one fails at once. Otherwise the others go on undisturbed, and it fails when they
//! have been answered: until then nobody knows which one it is.
//!
//! # Connections
//!
//! [`connect`](Mux::connect) begins a connection and numbers it, [`fail_all`](Mux::fail_all) ends it. A call prepared
//! for an earlier one is refused with [`Replaced`] under the same lock that opens slots, so no
//! call can slip onto a connection whose server knows nothing of its handshake.

mod callers;
mod lost;
mod outgoing;
mod questions;
mod route;
mod silence;
mod slot;
mod ticket;
mod waiter;

#[cfg(test)]
mod tests;

pub use self::outgoing::{MAX_OUTGOING, MAX_OUTGOING_BYTES};
pub use self::slot::{MAX_NOTE_BYTES, MAX_NOTES};
pub use self::ticket::Ticket;
pub use super::quiet::QUIET;

use self::{
    callers::Callers,
    lost::Lost,
    outgoing::Outgoing,
    silence::Silence,
    slot::{Kind, Slot},
    waiter::{Relays, Waiter},
};
use super::{
    Hop, Outbound, ask,
    error::{Closed, Replaced},
    quiet::{Order, Quiet},
};
use crate::{
    BoxError, EndpointId, Method, Reply,
    json::{Id, object::Edit, write},
    meta,
    metrics::{Count, Metrics},
};
use ahash::RandomState;
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};
use tokio::sync::Notify;
use tower::load_shed::error::Overloaded;

/// Calls open at once; far above every limit on calls in flight, so that only a leak would reach it.
pub const MAX_SLOTS: usize = 4096;
/// Listeners open at once: the gateway's own control plane is the only one there should be.
pub const MAX_LISTENERS: usize = 64;

/// The calls of one shared channel. Clones are handles to the same channel.
#[derive(Clone, Default)]
pub struct Mux {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// The present connection; 0 while there is none. Written under the lock, read without: whoever needs to be sure
    /// asks again when the slot is opened.
    epoch: AtomicU64,
    outgoing: Notify,
    /// Messages the server has sent.
    heard: AtomicU64,
    hung: Notify,
}

#[derive(Default)]
struct State {
    connections: u64,
    /// The latest id given out. Never reset, so that a late answer of an earlier connection finds nobody.
    last_id: u64,
    slots: HashMap<u64, Slot, RandomState>,
    listeners: Vec<u64>,
    /// Whose cancelled call a question may be of.
    quiet: Option<Quiet>,
    outgoing: Outgoing,
    dropped: u64,
    metrics: Metrics,
    /// Nothing but messages comes down the channel.
    pure: bool,
    order: Order,
    /// Whose calls the present connection has had.
    callers: Callers,
    lost: Lost,
    silence: Silence,
    /// Whose channel it is, for the log.
    server: Option<EndpointId>,
    /// That a question was refused is told once on each connection: a server may ask in a loop.
    told: bool,
    relays: Relays,
}

impl Mux {
    /// A channel without a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// A channel without a connection, which also counts in `metrics` what it drops.
    pub fn counting(metrics: Metrics) -> Self {
        let mux = Self::default();
        mux.lock().metrics = metrics;
        mux
    }

    /// Named in the log as the channel of this server.
    #[must_use]
    pub fn of(self, server: &EndpointId) -> Self {
        self.lock().server = Some(server.clone());
        self
    }

    /// For a channel on which a server says nothing beside messages, unlike a program's stdout.
    #[must_use]
    pub fn pure(self) -> Self {
        self.lock().pure = true;
        self
    }

    /// For a channel on which each message to the server has a way of its own: that it has answered one says nothing about what
    /// went out before. After a cancellation it is waited for the whole of [`QUIET`].
    #[must_use]
    pub fn unordered(self) -> Self {
        self.lock().order = Order::Lost;
        self
    }

    /// For a channel that is read by a task of the runtime at hand: callers on other runtimes are woken together, where many
    /// answers arrive at once, and each such runtime by one system call in place of one for each answer.
    pub fn read_here(&self) {
        self.lock().relays.read_here();
    }

    /// Begins a connection and says its number, from 1; ends the one before, if nobody did.
    pub fn connect(&self) -> u64 {
        self.fail_all();
        let mut state = self.lock();
        state.connections += 1;
        state.told = false;
        state.listen_anew(self.heard());
        self.shared.epoch.store(state.connections, Release);
        state.connections
    }

    /// The number of the present connection; 0 while there is none.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch.load(Acquire)
    }

    /// Opens a slot for a call: the frame to write, and where the reply will appear. The transport calls
    /// [`begin`](Mux::begin) right before it writes the first byte.
    ///
    /// # Errors
    ///
    /// [`Replaced`] if the call was prepared for another connection, `Overloaded` beyond [`MAX_SLOTS`]; in both cases
    /// nothing was sent.
    pub fn open(&self, outbound: &Outbound) -> Result<(Bytes, Ticket), BoxError> {
        let call = &outbound.call;
        let token = call.params.progress_token();
        let slot = Slot::new(Kind::of(&call.method), token.clone()).of_client(outbound);
        let ticket = self.insert(&outbound.hop, slot)?;
        let id = ticket.id();
        let text = id.to_string();
        let params = match token {
            Some(_) => call.params.edit_meta(&[Edit::Set(meta::PROGRESS_TOKEN, text.as_bytes())]),
            None => call.params.clone(),
        };
        Ok((write::request(&Id::from(id), &call.method, params.as_bytes()), ticket))
    }

    /// The frame of a notification, which needs no slot.
    ///
    /// # Errors
    ///
    /// [`Replaced`] if it was prepared for another connection.
    pub fn notification(&self, outbound: &Outbound) -> Result<Bytes, Replaced> {
        if outbound.hop.epoch == 0 || outbound.hop.epoch != self.epoch() {
            return Err(Replaced);
        }
        Ok(write::notification(&outbound.call.method, outbound.call.params.as_bytes()))
    }

    /// A reply of every note that belongs to no call, until the connection ends: what answers
    /// [`Method::LISTEN`] under a legacy hop.
    ///
    /// # Errors
    ///
    /// [`Replaced`] if the hop is of another connection, `Overloaded` beyond [`MAX_LISTENERS`].
    pub fn listen(&self, hop: &Hop) -> Result<Reply, BoxError> {
        if self.lock().listeners.len() >= MAX_LISTENERS {
            return Err(Overloaded::new().into());
        }
        Ok(self.insert(hop, Slot::new(Kind::Listener, None))?.into_reply())
    }

    /// Marks a call as sent. `false` if it was dropped or failed meanwhile: then its frame must not be written.
    pub fn begin(&self, id: u64) -> bool {
        match self.lock().slots.get_mut(&id) {
            Some(slot) if !slot.is_over() => {
                slot.begun = true;
                true
            }
            _ => false,
        }
    }

    /// Fails one call, if it is still open: its frame could not be sent, or its answer could not be read.
    pub fn fail(&self, id: u64, error: impl Into<BoxError>) {
        let mut state = self.lock();
        let waker = state.slots.get_mut(&id).and_then(|slot| slot.end(Err(error.into())));
        let cleared = state.clear(id);
        drop(state);
        waker.into_iter().chain(cleared).for_each(Waiter::wake);
    }

    /// Ends the connection: every open call fails with [`Closed`], which says whether it had been sent.
    pub fn fail_all(&self) {
        let mut state = self.lock();
        self.shared.epoch.store(0, Release);
        state.outgoing = Outgoing::default();
        state.quiet = None;
        state.callers = Callers::None;
        state.lost = Lost::default();
        let closed = |slot: &mut Slot| {
            slot.questions.forget();
            slot.end(Err(Closed { sent: slot.begun }.into()))
        };
        let wakers: Vec<_> = state.slots.values_mut().filter_map(closed).collect();
        drop(state);
        wakers.into_iter().for_each(Waiter::wake);
    }

    /// The next frame nobody waits for: a cancellation, or the answer to a server's request. For one caller at a time;
    /// nothing is lost when the future is dropped.
    pub async fn outgoing(&self) -> Bytes {
        loop {
            let more = self.shared.outgoing.notified();
            if let Some(frame) = self.try_outgoing() {
                return frame;
            }
            more.await;
        }
    }

    /// The next frame nobody waits for, if there is one.
    pub(super) fn try_outgoing(&self) -> Option<Bytes> {
        self.lock().outgoing.pop()
    }

    /// Calls in flight, listeners not counted.
    pub fn in_flight(&self) -> usize {
        let state = self.lock();
        state.slots.len() - state.listeners.len()
    }

    /// Notes and frames dropped at a bound so far.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn insert(&self, hop: &Hop, mut slot: Slot) -> Result<Ticket, BoxError> {
        slot.heard = self.shared.heard.load(Relaxed);
        let mut state = self.lock();
        if hop.epoch == 0 || hop.epoch != self.epoch() {
            return Err(Replaced.into());
        }
        if state.slots.len() >= MAX_SLOTS {
            return Err(Overloaded::new().into());
        }
        state.last_id += 1;
        let id = state.last_id;
        if slot.kind == Kind::Listener {
            state.listeners.push(id);
        }
        if slot.of_client {
            state.callers.add(&slot.whose);
        }
        state.slots.insert(id, slot);
        let relay = state.relays.here();
        drop(state);
        let relay = relay.map(|(relay, begin)| {
            begin.inspect(|runtime| drop(runtime.spawn(relay.clone().run())));
            relay
        });
        Ok(Ticket::new(self.clone(), id, relay))
    }

    /// Frees a slot. A call that was sent and is not over is cancelled at the server, `initialize` excepted
    /// (2025-11-25, "basic/utilities/cancellation").
    fn release(&self, id: u64, quietly: bool) {
        let mut state = self.lock();
        let mut removed = state.slots.remove(&id);
        let Some(slot) = &mut removed else { return };
        state.given_up(slot);
        if state.ignored(slot, self.heard()) {
            self.shared.hung.notify_one();
        }
        for id in slot.questions.iter() {
            state.push_outgoing(ask::answer(id, None));
        }
        if slot.kind == Kind::Listener {
            state.listeners.retain(|listener| *listener != id);
        } else if slot.begun && !slot.is_over() && slot.kind != Kind::Initialize && !quietly {
            state.cancel(id, "the caller is gone");
            if slot.of_client {
                state.hush(slot.whose.clone(), slot.modern, self.heard());
            }
        }
        let more = !state.outgoing.is_empty();
        // Unlocked first: with its waker the slot may hold the last reference to a task that owns another ticket.
        drop(state);
        drop(removed);
        // Most calls end with nothing to say, and the writer is on another thread.
        if more {
            self.shared.outgoing.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock, and one call's panic must not take the others with it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_one(&mut self, what: Count) {
        self.dropped += 1;
        self.metrics.count(what);
    }

    fn cancel(&mut self, id: u64, reason: &'static str) {
        let params = format!("{{\"requestId\":{id},\"reason\":\"{reason}\"}}");
        self.push_outgoing(write::notification(&Method::CANCELLED, params.as_bytes()));
    }

    /// Queues a frame nobody waits for. Whoever does so tells the writer once the lock is free.
    fn push_outgoing(&mut self, frame: Bytes) {
        if !self.outgoing.push(frame) {
            self.drop_one(Count::Message);
        }
    }
}

impl fmt::Debug for Mux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Mux").field("epoch", &self.epoch()).field("slots", &state.slots.len()).finish_non_exhaustive()
    }
}
