use super::lane::Lane;
use crate::Session;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Client sessions with a session of their own at one server; beyond it the one that was used longest ago is let go.
pub(super) const MAX_LANES: usize = 1024;
/// After this time without a call a client's session at a server is let go; its next call opens another.
const IDLE: Duration = Duration::from_secs(600);

/// The lanes of client sessions, by session id.
#[derive(Default)]
pub(super) struct Lanes {
    open: Mutex<HashMap<Box<str>, Entry>>,
}

struct Entry {
    lane: Arc<Lane>,
    session: Arc<Session>,
    used: Instant,
    /// Ends the watch over the session with the entry.
    _watch: DropGuard,
}

/// A lane that was just opened.
pub(super) struct Opened {
    pub(super) lane: Arc<Lane>,
    /// Cancelled when the lane is let go.
    pub(super) let_go: CancellationToken,
    /// Lanes that were let go to make room: of sessions that ended, and idle ones.
    pub(super) closed: Vec<Arc<Lane>>,
}

impl Lanes {
    /// The lane of a session, if there is one.
    pub(super) fn get(&self, session: &Session) -> Option<Arc<Lane>> {
        let mut open = self.lock();
        let entry = open.get_mut(session.id())?;
        entry.used = Instant::now();
        Some(entry.lane.clone())
    }

    /// Opens a lane for a session; gives the present one if another call was faster.
    pub(super) fn open(&self, session: &Arc<Session>) -> Result<Opened, Arc<Lane>> {
        let now = Instant::now();
        let mut open = self.lock();
        if let Some(entry) = open.get_mut(session.id()) {
            entry.used = now;
            return Err(entry.lane.clone());
        }
        let over = open.extract_if(|_, entry| entry.session.is_closed() || now - entry.used >= IDLE);
        let mut closed: Vec<Entry> = over.map(|(_, entry)| entry).collect();
        if open.len() >= MAX_LANES {
            let oldest = open.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| id.clone());
            closed.extend(oldest.and_then(|id| open.remove(&id)));
        }
        let (lane, let_go) = (Arc::new(Lane::new(session.client_info().clone())), CancellationToken::new());
        let watch = let_go.clone().drop_guard();
        let entry = Entry { lane: lane.clone(), session: session.clone(), used: now, _watch: watch };
        open.insert(session.id().into(), entry);
        drop(open);
        let closed = closed.into_iter().map(|entry| entry.lane).collect();
        Ok(Opened { lane, let_go, closed })
    }

    /// Lets a lane go.
    pub(super) fn close(&self, session: &Session) -> Option<Arc<Lane>> {
        let entry = self.lock().remove(session.id());
        entry.map(|entry| entry.lane)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
