use super::session::{Entry, lock};
use crate::{edge::error::Refusal, error::Problem};
use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// All sessions of an edge, by id.
///
/// There is no task that looks for idle ones: whoever comes next does, at most four times per idle time, so the store
/// needs no runtime of its own and a gateway nobody talks to does nothing.
pub(super) struct Sessions {
    store: Mutex<Store>,
    max: usize,
    idle: Duration,
}

struct Store {
    entries: HashMap<Box<str>, Arc<Entry>>,
    swept: Instant,
}

impl Sessions {
    /// A full store is searched for idle sessions at most this often, so that a flood of `initialize` does not walk it
    /// each time.
    const SEARCH: Duration = Duration::from_secs(1);

    pub(super) fn new(max: usize, idle: Duration) -> Self {
        Self { store: Mutex::new(Store { entries: HashMap::new(), swept: Instant::now() }), max, idle }
    }

    /// Takes a session in.
    ///
    /// # Errors
    ///
    /// There are as many as there may be, and none has been idle for long enough.
    pub(super) fn insert(&self, entry: Arc<Entry>) -> Result<(), Refusal> {
        self.room()?;
        let mut store = lock(&self.store);
        match store.entries.len() < self.max {
            true => {
                store.entries.insert(entry.id().into(), entry);
                Ok(())
            }
            false => Err(full()),
        }
    }

    /// Whether one more would be taken in; asked before work is done for it.
    pub(super) fn room(&self) -> Result<(), Refusal> {
        let is_full = || lock(&self.store).entries.len() >= self.max;
        self.sweep(if is_full() { Self::SEARCH.min(self.idle) } else { self.idle / 4 });
        if is_full() { Err(full()) } else { Ok(()) }
    }

    /// The session with this id, which is in use from now.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Entry>> {
        self.sweep(self.idle / 4);
        let entry = lock(&self.store).entries.get(id).cloned()?;
        if entry.is_idle(self.idle) {
            self.remove(id);
            return None;
        }
        entry.touch();
        Some(entry)
    }

    /// Ends the session with this id.
    pub(super) fn remove(&self, id: &str) {
        let entry = lock(&self.store).entries.remove(id);
        if let Some(entry) = entry {
            entry.close();
        }
    }

    /// Ends all sessions.
    pub(super) fn close(&self) {
        let entries = std::mem::take(&mut lock(&self.store).entries);
        entries.values().for_each(|entry| entry.close());
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.store).entries.len()
    }

    /// Ends idle sessions, unless that was done less than `pause` ago.
    fn sweep(&self, pause: Duration) {
        let mut expired = Vec::new();
        {
            let mut store = lock(&self.store);
            if store.swept.elapsed() < pause {
                return;
            }
            store.swept = Instant::now();
            store.entries.retain(|_, entry| {
                let idle = entry.is_idle(self.idle);
                if idle {
                    expired.push(entry.clone());
                }
                !idle
            });
        }
        // Closing wakes and drops what others wrote, which must not happen under the lock.
        expired.iter().for_each(|entry| entry.close());
    }
}

/// A new session id: 128 bits that nobody can guess, as the specification asks of what speaks for a client.
pub(in crate::edge) fn mint() -> Result<Box<str>, Refusal> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        Problem::rpc(500, -32603, "internal error")
    })?;
    let mut id = String::with_capacity(2 * random.len());
    for byte in random {
        write!(id, "{byte:02x}").expect("a String takes every byte");
    }
    Ok(id.into())
}

fn full() -> Refusal {
    let problem = Problem::new(503, "too_many_sessions", "too many sessions are open");
    problem.with_retry_after(Duration::from_secs(5)).into()
}
