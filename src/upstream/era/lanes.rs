use super::abilities::Abilities;
use crate::{
    Call, Session,
    auth::{Mark, Principal},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
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
    pub(super) declaration: Arc<str>,
    /// Counts lanes that are alike, where each has one call at a time.
    nth: usize,
}

impl Key {
    pub(super) fn of(call: &Call) -> Self {
        let client = call.session.as_ref().map_or("", |session| session.id());
        let principal = Principal::mark_in(&call.extensions);
        Self { client: client.into(), principal, declaration: Abilities::of(call).declaration.clone(), nth: 0 }
    }
}

/// What may be let go when nobody uses it.
pub(super) trait Usable: Send + Sync + Sized + 'static {
    /// Whether a call is on its way.
    fn is_used(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    /// Whether somebody calls or listens.
    fn is_wanted(self: &Arc<Self>) -> bool {
        self.is_used()
    }
}

/// What clients have of their own at a server: sessions, or whole connections.
pub(super) struct Lanes<L> {
    open: Mutex<HashMap<Key, Entry<L>>>,
    max: usize,
}

struct Entry<L> {
    lane: Arc<L>,
    session: Option<Arc<Session>>,
    used: Instant,
    /// Ends the watch over the lane with the entry.
    _watch: DropGuard,
}

impl<L: Usable> Entry<L> {
    /// Nobody has used it for long, and no call is on its way.
    fn is_idle(&self, now: Instant) -> bool {
        now - self.used >= IDLE && !self.lane.is_wanted()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_closed()) || self.is_idle(now)
    }
}

/// A lane that was just opened.
pub(super) struct Opened<L> {
    pub(super) lane: Arc<L>,
    pub(super) key: Key,
    /// Cancelled when the lane is let go.
    pub(super) let_go: CancellationToken,
    /// Lanes that were let go to make room: of sessions that ended, and idle ones.
    pub(super) closed: Vec<Arc<L>>,
}

impl<L: Usable> Lanes<L> {
    pub(super) fn new(max: usize) -> Self {
        Self { open: Mutex::default(), max }
    }

    /// The lane under a key, if there is one.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<L>> {
        let mut open = self.lock();
        let entry = open.get_mut(key)?;
        entry.used = Instant::now();
        Some(entry.lane.clone())
    }

    /// Opens a lane; gives the present one if another call was faster. Beyond the bound one that is in use is let go only
    /// if all are.
    pub(super) fn open(
        &self,
        key: &Key,
        session: Option<&Arc<Session>>,
        make: impl FnOnce() -> L,
    ) -> Result<Opened<L>, Arc<L>> {
        let mut open = self.lock();
        if let Some(entry) = open.get_mut(key) {
            entry.used = Instant::now();
            return Err(entry.lane.clone());
        }
        let mut closed = self.make_room(&mut open);
        if open.len() >= self.max {
            let in_use = |entry: &Entry<L>| entry.lane.is_wanted();
            let oldest = open.iter().min_by_key(|(_, entry)| (in_use(entry), entry.used)).map(|(key, _)| key.clone());
            closed.extend(oldest.and_then(|key| open.remove(&key)).map(|entry| entry.lane));
        }
        Ok(Self::insert(&mut open, key, session, make, closed))
    }

    /// The first lane of this kind that nobody uses, or another of it; `None` beyond the bound, if all are in use.
    pub(super) fn unused(&self, key: &Key, make: impl FnOnce() -> L) -> Option<Result<Opened<L>, Arc<L>>> {
        let mut open = self.lock();
        let mut key = key.clone();
        while let Some(entry) = open.get_mut(&key) {
            if !entry.lane.is_used() {
                entry.used = Instant::now();
                return Some(Err(entry.lane.clone()));
            }
            key.nth += 1;
        }
        let closed = self.make_room(&mut open);
        (open.len() < self.max).then(|| Ok(Self::insert(&mut open, &key, None, make, closed)))
    }

    /// The lane of a session, or another; `None` beyond the bound, if all are in use.
    pub(super) fn of_session(
        &self,
        key: &Key,
        session: &Arc<Session>,
        make: impl FnOnce() -> L,
    ) -> Option<Result<Opened<L>, Arc<L>>> {
        let mut open = self.lock();
        if let Some(entry) = open.get_mut(key) {
            entry.used = Instant::now();
            return Some(Err(entry.lane.clone()));
        }
        let closed = self.make_room(&mut open);
        (open.len() < self.max).then(|| Ok(Self::insert(&mut open, key, Some(session), make, closed)))
    }

    /// Lets go those of ended sessions and idle ones, and at the bound the one that has been unused for longest.
    fn make_room(&self, open: &mut HashMap<Key, Entry<L>>) -> Vec<Arc<L>> {
        let now = Instant::now();
        let mut closed: Vec<_> = open.extract_if(|_, entry| entry.is_over(now)).map(|(_, entry)| entry.lane).collect();
        if open.len() >= self.max {
            let unused = open.iter().filter(|(_, entry)| !entry.lane.is_wanted());
            let oldest = unused.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            closed.extend(oldest.and_then(|key| open.remove(&key)).map(|entry| entry.lane));
        }
        closed
    }

    fn insert(
        open: &mut HashMap<Key, Entry<L>>,
        key: &Key,
        session: Option<&Arc<Session>>,
        make: impl FnOnce() -> L,
        closed: Vec<Arc<L>>,
    ) -> Opened<L> {
        let (lane, let_go) = (Arc::new(make()), CancellationToken::new());
        let watch = let_go.clone().drop_guard();
        let entry = Entry { lane: lane.clone(), session: session.cloned(), used: Instant::now(), _watch: watch };
        open.insert(key.clone(), entry);
        Opened { lane, key: key.clone(), let_go, closed }
    }

    /// Lets a lane go.
    pub(super) fn close(&self, key: &Key) -> Option<Arc<L>> {
        let entry = self.lock().remove(key);
        entry.map(|entry| entry.lane)
    }

    /// Lets all go.
    pub(super) fn take_all(&self) -> Vec<Arc<L>> {
        let entries = std::mem::take(&mut *self.lock());
        entries.into_values().map(|entry| entry.lane).collect()
    }

    /// Lets a lane go if it is idle; otherwise says when it may be.
    pub(super) fn close_idle(&self, key: &Key) -> Result<Option<Arc<L>>, Instant> {
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry<L>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a lane go when its client's session ends, or when it has been idle; `end` is told of it.
pub(super) async fn watch<L: Usable>(lanes: Weak<Lanes<L>>, key: Key, session: Option<Arc<Session>>, end: impl Fn(&L)) {
    let mut look = Instant::now() + IDLE;
    let closed = async {
        match &session {
            Some(session) => session.closed().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(closed);
    loop {
        let ended = tokio::select! {
            () = &mut closed => true,
            () = sleep_until(look) => false,
        };
        let Some(lanes) = lanes.upgrade() else { return };
        match if ended { Ok(lanes.close(&key)) } else { lanes.close_idle(&key) } {
            Ok(lane) => return lane.iter().for_each(|lane| end(lane)),
            Err(later) => look = later,
        }
    }
}
