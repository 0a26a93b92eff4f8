use super::lane::Lane;
use crate::Session;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

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
}

impl Lanes {
    /// The lane of a session, made if there is none; lanes of sessions that ended or are idle are let go then.
    pub(super) fn of(&self, session: &Arc<Session>) -> Arc<Lane> {
        let now = Instant::now();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = open.get_mut(session.id()) {
            entry.used = now;
            return entry.lane.clone();
        }
        open.retain(|_, entry| !entry.session.is_closed() && now - entry.used < IDLE);
        if open.len() >= MAX_LANES {
            let oldest = open.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| id.clone());
            oldest.and_then(|id| open.remove(&id));
        }
        let lane = Arc::new(Lane::new(session.client_info().clone()));
        open.insert(session.id().into(), Entry { lane: lane.clone(), session: session.clone(), used: now });
        lane
    }

    pub(super) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
