use super::session::{Entry, lock};
use crate::{
    json::{Id, Json, write},
    reply::Ask,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// What servers asked a client that it has not answered yet, by the ids the gateway gave them.
///
/// The ids count up through the session and are never used again, so a late answer answers nothing else.
pub(in crate::edge) struct Questions {
    /// `None` once nobody answers any more.
    open: Mutex<Option<HashMap<u64, Ask>>>,
    last: AtomicU64,
}

impl Questions {
    /// The most questions one client may have open: a call seldom asks more than one thing at a time, and nobody
    /// answers hundreds.
    pub(super) const MAX: usize = 256;

    /// None yet; the first has the id after `base`.
    pub(super) fn new(base: u64) -> Self {
        Self { open: Mutex::new(Some(HashMap::new())), last: AtomicU64::new(base) }
    }

    /// Passes an answer to whoever asked. One that nobody waits for is ignored.
    pub(in crate::edge) fn answer(&self, id: Option<&Id>, answer: Result<Json, Json>) {
        let Some(id) = id.and_then(Id::as_u64) else { return };
        let ask = lock(&self.open).as_mut().and_then(|open| open.remove(&id));
        if let Some(ask) = ask {
            ask.answer(answer);
        }
    }

    /// Refuses all that are open, and all that come.
    pub(in crate::edge) fn close(&self) {
        let open = lock(&self.open).take();
        drop(open);
    }
}

impl Entry {
    /// Opens a question: the request to send, and what keeps the question open. `None` if there are too many; the
    /// question is refused by being dropped.
    pub(super) fn ask(self: &Arc<Self>, ask: Ask) -> Option<(Asked, Bytes)> {
        let questions = self.questions();
        let id = questions.last.fetch_add(1, Ordering::Relaxed) + 1;
        let message = write::request(&Id::from(id), &ask.method, ask.params.as_bytes());
        let mut moot = Vec::new();
        {
            let mut open = lock(&questions.open);
            let open = open.as_mut()?;
            if open.len() >= Questions::MAX {
                let gone: Vec<u64> = open.iter().filter(|(_, ask)| ask.is_moot()).map(|(id, _)| *id).collect();
                moot.extend(gone.iter().filter_map(|id| open.remove(id)));
            }
            if open.len() >= Questions::MAX {
                return None;
            }
            open.insert(id, ask);
        }
        Some((Asked { entry: self.clone(), id }, message))
    }
}

/// A question that is open for as long as this is held, or until it is answered.
pub(super) struct Asked {
    entry: Arc<Entry>,
    id: u64,
}

impl Asked {
    pub(super) fn is_open(&self) -> bool {
        lock(&self.entry.questions().open).as_ref().is_some_and(|open| open.contains_key(&self.id))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let ask = lock(&self.entry.questions().open).as_mut().and_then(|open| open.remove(&self.id));
        drop(ask);
    }
}
