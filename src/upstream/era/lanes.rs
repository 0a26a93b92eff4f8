use super::{abilities::Abilities, lane::Lane};
use crate::{
    Call, Session,
    auth::{Mark, Principal},
    json::Json,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Sessions of clients at one server; beyond it the one that was used longest ago is let go.
pub(super) const MAX_LANES: usize = 1024;
/// After this time without a call a client's session at a server is let go; its next call opens another.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// Who shares a session at a server: a server is told once per session what can be asked of its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The client's session; empty for those that have none.
    client: Box<str>,
    /// Who the client is: without sessions, all clients of one principal are the same to a server.
    principal: Mark,
    /// The capabilities declared at the server.
    pub(super) declaration: Box<str>,
}

impl Key {
    pub(super) fn of(call: &Call) -> Self {
        let client = call.session.as_ref().map_or("", |session| session.id());
        let principal = Principal::mark_in(&call.extensions);
        Self { client: client.into(), principal, declaration: Abilities::of(call).declaration() }
    }
}

/// The lanes of clients.
#[derive(Default)]
pub(super) struct Lanes {
    open: Mutex<HashMap<Key, Entry>>,
}

struct Entry {
    lane: Arc<Lane>,
    session: Option<Arc<Session>>,
    used: Instant,
    /// Ends the watch over the lane with the entry.
    _watch: DropGuard,
}

impl Entry {
    /// Nobody has used it for long, and no call is on its way.
    fn is_idle(&self, now: Instant) -> bool {
        now - self.used >= IDLE && Arc::strong_count(&self.lane) == 1
    }

    fn is_over(&self, now: Instant) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_closed()) || self.is_idle(now)
    }
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
    /// The lane under a key, if there is one.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Lane>> {
        let mut open = self.lock();
        let entry = open.get_mut(key)?;
        entry.used = Instant::now();
        Some(entry.lane.clone())
    }

    /// Opens a lane; gives the present one if another call was faster.
    pub(super) fn open(&self, key: &Key, session: Option<&Arc<Session>>, info: Json) -> Result<Opened, Arc<Lane>> {
        let now = Instant::now();
        let mut open = self.lock();
        if let Some(entry) = open.get_mut(key) {
            entry.used = now;
            return Err(entry.lane.clone());
        }
        let over = open.extract_if(|_, entry| entry.is_over(now));
        let mut closed: Vec<Entry> = over.map(|(_, entry)| entry).collect();
        if open.len() >= MAX_LANES {
            // One that is in use is let go only if all are.
            let in_use = |entry: &Entry| Arc::strong_count(&entry.lane) > 1;
            let oldest = open.iter().min_by_key(|(_, entry)| (in_use(entry), entry.used)).map(|(key, _)| key.clone());
            closed.extend(oldest.and_then(|key| open.remove(&key)));
        }
        let (lane, let_go) = (Arc::new(Lane::new(info, key.declaration.clone())), CancellationToken::new());
        let watch = let_go.clone().drop_guard();
        open.insert(key.clone(), Entry { lane: lane.clone(), session: session.cloned(), used: now, _watch: watch });
        drop(open);
        let closed = closed.into_iter().map(|entry| entry.lane).collect();
        Ok(Opened { lane, let_go, closed })
    }

    /// Lets a lane go.
    pub(super) fn close(&self, key: &Key) -> Option<Arc<Lane>> {
        let entry = self.lock().remove(key);
        entry.map(|entry| entry.lane)
    }

    /// Lets a lane go if it is idle; otherwise says when it may be.
    pub(super) fn close_idle(&self, key: &Key) -> Result<Option<Arc<Lane>>, Instant> {
        let now = Instant::now();
        let mut open = self.lock();
        match open.get(key) {
            Some(entry) if !entry.is_idle(now) => Err((entry.used + IDLE).max(now + IDLE / 10)),
            _ => Ok(open.remove(key).map(|entry| entry.lane)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
