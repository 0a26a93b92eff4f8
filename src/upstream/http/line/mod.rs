//! The GET stream of a session, and who hears what comes down it.
//!
//! A session has one such stream at most: servers answer a second GET with 409. So whoever listens and every call that
//! may be asked something share it. It is open while one of them is there and [`LINGER`] longer.

mod listen;
mod reader;
mod told;

pub(super) use self::{listen::listen, told::told};

use self::reader::Reader;
use super::Endpoint;
use crate::{
    Call, Method, Session,
    json::{Id, Params},
    reply::Note,
    upstream::{
        Hop, OfClient,
        quiet::{Order, Quiet, Whose},
    },
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a stream stays open that nobody uses: a client's next call finds it, and needs no round trip for it.
const LINGER: Duration = Duration::from_secs(30);
/// Longest wait of a call for the stream to open. Some servers send no head before they have something to say; their
/// sessions wait once.
const OPENING: Duration = Duration::from_millis(500);
/// What one call has not read yet; more is dropped, a question refused.
const MAX_HEARD: usize = 64;
/// Bytes of notes and questions that one call has not read yet; more are dropped, or refused. A single larger one is still taken
/// if no other waits.
const MAX_HEARD_BYTES: usize = 1 << 20;

/// The stream of one session. Dropping it ends the stream.
pub(in crate::upstream) struct Line {
    shared: Arc<Shared>,
    stop: CancellationToken,
    _guard: DropGuard,
}

struct Shared {
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
    users: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    running: bool,
    /// A head was waited for in vain, so that no other call waits for it.
    slow: bool,
    /// Listeners are there, and something may have been said before they heard.
    missed: bool,
    listeners: usize,
    /// By id: the first is the oldest.
    calls: BTreeMap<u64, Caller>,
    /// Whose cancelled calls a question may be of.
    quiet: Option<Quiet>,
    /// The client whose session at the server this is, if it is one client's alone.
    client: Option<Weak<Session>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open,
    /// The server has no such stream; the revision allows that.
    Absent,
    /// It was refused in a way that may be about the session.
    Refused,
    /// The session is gone.
    Lost,
}

struct Caller {
    of: OfClient,
    whose: Whose,
    heard: mpsc::Sender<Heard>,
    /// Bytes of what is in there.
    unread: Cell<usize>,
}

/// What came down the stream for a call.
#[derive(Debug)]
enum Heard {
    Note(Note),
    Ask(Id, Method, Params),
    /// The server takes a question back; whoever has it knows.
    Withdrawn(Id),
}

impl Heard {
    /// The bytes that count against [`MAX_HEARD_BYTES`]; an id alone is small.
    fn size(&self) -> usize {
        match self {
            Heard::Note(Note { params, .. }) | Heard::Ask(_, _, params) => params.as_bytes().len(),
            Heard::Withdrawn(_) => 0,
        }
    }
}

impl Caller {
    /// Hands over under the bounds; `false` if there was no room.
    fn hand(&self, heard: Heard) -> bool {
        let (size, waiting) = (heard.size(), self.unread.get());
        // What takes no room is never too much, whatever waits.
        let fits = waiting == 0 || size == 0 || waiting + size <= MAX_HEARD_BYTES;
        let kept = fits && self.heard.try_send(heard).is_ok();
        if kept {
            self.unread.set(waiting + size);
        }
        kept
    }

    /// So much of it has been read.
    fn read(&self, size: usize) {
        self.unread.set(self.unread.get() - size);
    }
}

impl Default for Line {
    fn default() -> Self {
        let stop = CancellationToken::new();
        let (state, phase, users) = (Mutex::default(), watch::Sender::new(Phase::Closed), watch::Sender::default());
        Self { shared: Arc::new(Shared { state, phase, users }), _guard: stop.clone().drop_guard(), stop }
    }
}

impl Line {
    /// The session will not be used again.
    pub(in crate::upstream) fn close(&self) {
        self.stop.cancel();
        self.shared.phase.send_replace(Phase::Lost);
    }

    /// Completes when the session will not be used again.
    pub(in crate::upstream) async fn closed(&self) {
        // An error would mean that the sender is gone, and it is a field of `self`.
        let _ = self.shared.phase.subscribe().wait_for(|phase| *phase == Phase::Lost).await;
    }

    /// Tells the streams of sessions that are there at one time from each other.
    fn number(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Keeps the stream open for as long as the guard lives.
    fn enter(&self, endpoint: &Arc<Endpoint>, hop: &Hop) -> Use {
        let mut state = self.shared.lock();
        self.shared.users.send_modify(|users| *users += 1);
        if !state.running && self.phase() == Phase::Closed {
            state.running = true;
            let reader = Reader::new(endpoint.clone(), hop, self.shared.clone());
            let stop = self.stop.clone();
            endpoint.tasks.spawn(async move {
                stop.run_until_cancelled_owned(reader.run()).await;
            });
        }
        Use(self.shared.clone())
    }

    /// Waits until the stream is open, or will not be.
    async fn ready(&self) {
        if self.phase() != Phase::Closed || self.shared.lock().slow {
            return;
        }
        let mut phase = self.shared.phase.subscribe();
        if timeout(OPENING, phase.wait_for(|phase| *phase != Phase::Closed)).await.is_err() {
            self.shared.lock().slow = true;
        }
    }

    /// The server has taken the cancellation of call `id`.
    pub(super) fn taken(&self, id: u64) {
        if let Some(quiet) = &mut self.shared.lock().quiet {
            quiet.read(id);
        }
    }

    /// Counts call `id` of a client among those that a question may belong to.
    pub(super) fn join(&self, endpoint: &Arc<Endpoint>, hop: &Hop, id: u64, (call, of): (&Call, OfClient)) -> Ear {
        let (sender, heard) = mpsc::channel(MAX_HEARD);
        {
            let mut state = self.shared.lock();
            state.calls.insert(id, Caller { of, whose: Whose::of(call), heard: sender, unread: Cell::new(0) });
            if of.alone && state.client.is_none() {
                state.client = call.session.as_ref().map(Arc::downgrade);
            }
        }
        let open = of.hears.then(|| self.enter(endpoint, hop));
        Ear { shared: self.shared.clone(), id, heard, over: false, _open: open }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes when nobody has used the stream for long.
    async fn unused(&self) {
        let mut users = self.users.subscribe();
        loop {
            let _ = users.wait_for(|users| *users == 0).await;
            if timeout(LINGER, users.wait_for(|users| *users > 0)).await.is_err() {
                return;
            }
        }
    }
}

impl State {
    /// The call that a question or a log message belongs to, if that is certain: the only one there is, or the oldest
    /// of those that can be asked where all are of one client.
    fn addressee(&self) -> Option<&Caller> {
        let alone = self.calls.values().all(|call| call.of.alone);
        let admits = |call: &&Caller| alone || self.quiet.as_ref().is_none_or(|quiet| quiet.admits(&call.whose));
        match self.calls.len() {
            1 => self.calls.values().next().filter(admits),
            _ if alone => self.calls.values().find(|call| call.of.hears),
            _ => None,
        }
    }
}

/// Somebody wants the stream open.
struct Use(Arc<Shared>);

impl Drop for Use {
    fn drop(&mut self) {
        self.0.users.send_modify(|users| *users -= 1);
    }
}

/// What a call hears beside its own response.
pub(super) struct Ear {
    shared: Arc<Shared>,
    id: u64,
    heard: mpsc::Receiver<Heard>,
    over: bool,
    _open: Option<Use>,
}

impl Ear {
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        match self.heard.poll_recv(cx) {
            Poll::Ready(Some(heard)) => {
                if let Some(caller) = self.shared.lock().calls.get(&self.id) {
                    caller.read(heard.size());
                }
                Poll::Ready(heard)
            }
            // The sender lives until this is dropped.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The server has nothing to ask for this call any more.
    fn over(&mut self) {
        self.over = true;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(caller) = state.calls.remove(&self.id).filter(|_| !self.over) else { return };
        state.quiet = Some(Quiet::after(state.quiet.take(), caller.whose, self.id, Order::Lost));
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
