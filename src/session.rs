use crate::{Revision, json::Json, reply::Note};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// What an initialize-era client told about itself once, and its later requests rely on.
///
/// The edge makes it, fills every [`Call`](crate::Call)'s `_meta` from it, and closes it; layers behind the edge only
/// read. What belongs to a session elsewhere (an upstream session, a child process) is freed when
/// [`closed`](Session::closed) completes.
pub struct Session {
    id: Box<str>,
    revision: Revision,
    client_info: Json,
    capabilities: Json,
    closed: CancellationToken,
    told: Mutex<Told>,
}

/// What the client is to be told outside of its calls.
#[derive(Default)]
struct Told {
    notes: VecDeque<Note>,
    waker: Option<Waker>,
}

/// Notes that wait for the client to listen; past them the oldest is dropped. A client that listens has none waiting.
const MAX_TOLD: usize = 32;

impl Session {
    /// A session with the revision that was agreed on and the `clientInfo` and `capabilities` of `initialize`.
    pub fn new(id: impl Into<Box<str>>, revision: Revision, client_info: Json, capabilities: Json) -> Self {
        let (id, closed, told) = (id.into(), CancellationToken::new(), Mutex::default());
        Self { id, revision, client_info, capabilities, closed, told }
    }

    /// The id the edge gave the client. A secret: who knows it can speak for the client.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The revision client and edge agreed on.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The client's name and version, as it sent them.
    pub fn client_info(&self) -> &Json {
        &self.client_info
    }

    /// What the client can do, as it sent it.
    pub fn capabilities(&self) -> &Json {
        &self.capabilities
    }

    /// Tells the client something that belongs to none of its calls; it hears of it where it listens.
    ///
    /// For what a server says in a session or on a connection that is this client's alone.
    pub fn tell(&self, note: Note) {
        let waker = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.notes.len() >= MAX_TOLD {
                told.notes.pop_front();
            }
            told.notes.push_back(note);
            told.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// The next of what was [told](Session::tell), for the one who passes it on to the client; the latest who asks is woken.
    pub fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Note> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.notes.pop_front() {
            Some(note) => Poll::Ready(note),
            None => {
                let old = told.waker.replace(cx.waker().clone());
                drop(told);
                drop(old);
                Poll::Pending
            }
        }
    }

    /// Ends the session: DELETE, expiry, or the end of its one connection.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Completes once the session has ended.
    pub fn closed(&self) -> WaitForCancellationFuture<'_> {
        self.closed.cancelled()
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session.field("revision", &self.revision).field("client_info", &self.client_info);
        session.finish_non_exhaustive()
    }
}
