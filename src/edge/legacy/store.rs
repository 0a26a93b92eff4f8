use super::{
    history::Budget,
    rounds::Asking,
    session::{Entry, lock},
    token::{Clock, Stamp, Token},
};
use crate::{
    auth::Mark,
    clock,
    edge::{error::Refusal, layer::Settings},
    error::Problem,
    metrics::{Gauge, Held, Metrics},
    seal::{Keys, Nonce},
};
use ahash::RandomState;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap, hash_map},
    fmt::Write,
    hash::{Hash, Hasher},
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
    /// How long nobody looks for idle sessions after somebody did.
    pause: Duration,
    keys: Keys,
    /// What tells this edge from others with the same keys.
    mount: Box<str>,
    /// Whoever needs no principal, as bound.
    nobody: Mark,
    clock: Clock,
    budget: Arc<Budget>,
    metrics: Metrics,
    asking: Asking,
}

struct Store {
    /// Each is counted while it is here.
    entries: HashMap<Key, (Arc<Entry>, Held), RandomState>,
    /// Sessions that were ended before their time; their ids still open.
    revoked: BTreeSet<Stamp>,
    swept: Instant,
}

/// An id that its session keeps, as it is looked for.
#[derive(PartialEq, Eq)]
struct Key(Arc<str>);

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl Sessions {
    /// A full store is searched for idle sessions at most this often, so that a flood of `initialize` does not walk it
    /// each time.
    const SEARCH: Duration = Duration::from_secs(1);
    /// The most ended sessions that are remembered: 2 MiB. Beyond it the ones nearest to their end are forgotten, whose
    /// ids would open again for what is left of their day.
    const MAX_REVOKED: usize = 1 << 16;

    pub(super) fn new(settings: &Settings, keys: Keys) -> Self {
        let store = Store { entries: HashMap::default(), revoked: BTreeSet::new(), swept: Instant::now() };
        let (max, idle, mount) = (settings.max_sessions, settings.session_idle, settings.mount.clone());
        let (clock, budget, metrics) = (Clock::new(), Arc::default(), settings.metrics.clone());
        let nobody = bound(&Mark::default(), &mount);
        let (pause, asking, store) = (idle / 4, settings.asking(), Mutex::new(store));
        Self { store, max, idle, pause, keys, mount, nobody, clock, budget, metrics, asking }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The owner as it is sealed: of this mount.
    pub(super) fn bound(&self, owner: &Mark) -> Mark {
        if *owner == Mark::default() { self.nobody } else { bound(owner, &self.mount) }
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// A new session from here on, and what its id is sealed with. They say the same to tell it from others, so that
    /// the operating system is asked once.
    pub(super) fn stamp(&self) -> Result<(Stamp, Nonce), Problem> {
        let nonce = Nonce::random().map_err(|error| no_randomness(&error))?;
        let id = *nonce.as_bytes().first_chunk().expect("a nonce is longer");
        Ok((Stamp { expires: self.clock.now() + Token::LIFE.as_secs(), id }, nonce))
    }

    /// Takes a session in; one with its id that is there already stays.
    ///
    /// # Errors
    ///
    /// There are as many as there may be, and none has been idle for long enough.
    pub(super) fn insert(&self, entry: Arc<Entry>) -> Result<Arc<Entry>, Refusal> {
        self.insert_if(entry, |_| true)
    }

    /// As [`insert`](Self::insert), where what has been ended by then does not stand against it.
    fn insert_if(
        &self,
        entry: Arc<Entry>,
        lives: impl FnOnce(&BTreeSet<Stamp>) -> bool,
    ) -> Result<Arc<Entry>, Refusal> {
        self.room()?;
        let mut store = lock(&self.store);
        if !lives(&store.revoked) {
            return Err(super::no_session());
        }
        let has_room = store.entries.len() < self.max;
        match store.entries.entry(Key(entry.id().clone())) {
            hash_map::Entry::Occupied(there) => Ok(there.get().0.clone()),
            hash_map::Entry::Vacant(_) if !has_room => Err(full()),
            hash_map::Entry::Vacant(place) => {
                place.insert((entry.clone(), self.metrics.hold(Gauge::Sessions)));
                Ok(entry)
            }
        }
    }

    /// Whether one more would be taken in; asked before work is done for it.
    pub(super) fn room(&self) -> Result<(), Refusal> {
        let is_full = || lock(&self.store).entries.len() >= self.max;
        let was_full = is_full();
        self.sweep(if was_full { Self::SEARCH.min(self.idle) } else { self.pause }, clock::now());
        if was_full && is_full() { Err(full()) } else { Ok(()) }
    }

    /// The session of `owner` with this id, which is in use from now. One that is not known any more, or was never known here, is
    /// opened again from what its id holds.
    ///
    /// # Errors
    ///
    /// 404, the same for every reason; 503 if there is no room to open it again.
    pub(super) fn find(&self, id: &HeaderValue, owner: &Mark) -> Result<Arc<Entry>, Refusal> {
        if let Some(entry) = self.known(id.as_bytes().trim_ascii(), owner) {
            return Ok(entry);
        }
        let id =
            id.to_str().map_err(|_| Refusal::invalid("the header Mcp-Session-Id holds invalid characters"))?.trim();
        let token = Token::open(&self.keys, id).ok_or_else(super::no_session)?;
        let revoked = lock(&self.store).revoked.contains(&token.stamp);
        if revoked || token.stamp.expires <= self.clock.now() || token.owner != self.bound(owner) {
            return Err(super::no_session());
        }
        let stamp = token.stamp;
        let entry = Entry::revived(id.into(), *owner, token, self.budget.clone()).with_asking(self.asking.clone());
        // It may have been ended while it was being opened again.
        self.insert_if(Arc::new(entry), |revoked| !revoked.contains(&stamp))
    }

    /// The session of `owner` with this id where it is in memory, which is in use from now.
    pub(super) fn known(&self, id: &[u8], owner: &Mark) -> Option<Arc<Entry>> {
        let now = clock::now();
        let (entry, swept) = {
            let store = lock(&self.store);
            let theirs = store.entries.get(id).map(|(entry, _)| entry).filter(|entry| entry.is_of(owner));
            (theirs.cloned(), store.swept)
        };
        if now.saturating_duration_since(swept) >= self.pause {
            self.sweep(self.pause, now);
        }
        let entry = entry?;
        if entry.is_over(self.clock.at(now), now, self.idle) {
            self.expire(&entry);
            return None;
        }
        entry.touch(now);
        Some(entry)
    }

    /// Ends a session for good: its id opens no more.
    pub(super) fn revoke(&self, entry: &Entry) {
        if let Some(stamp) = entry.stamp() {
            let now = self.clock.now();
            let mut store = lock(&self.store);
            store.revoked.insert(*stamp);
            while store.revoked.first().is_some_and(|first| first.expires <= now)
                || store.revoked.len() > Self::MAX_REVOKED
            {
                store.revoked.pop_first();
            }
        }
        self.remove(entry.id().as_bytes());
    }

    /// Takes the session with this id out of memory, with everything in it.
    pub(super) fn remove(&self, id: &[u8]) {
        let entry = lock(&self.store).entries.remove(id);
        if let Some((entry, _)) = entry {
            entry.close();
        }
    }

    /// Takes a session out of memory whose time is up, but not the one it was opened again as meanwhile.
    fn expire(&self, over: &Arc<Entry>) {
        let removed = match lock(&self.store).entries.entry(Key(over.id().clone())) {
            hash_map::Entry::Occupied(there) if Arc::ptr_eq(&there.get().0, over) => Some(there.remove()),
            _ => None,
        };
        if let Some((entry, _)) = removed {
            entry.close();
        }
    }

    /// Takes all sessions out of memory.
    pub(super) fn close(&self) {
        let entries = std::mem::take(&mut lock(&self.store).entries);
        entries.values().for_each(|(entry, _)| entry.close());
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.store).entries.len()
    }

    /// Takes out idle and expired sessions, unless that was done less than `pause` ago.
    fn sweep(&self, pause: Duration, now: Instant) {
        let mut expired = Vec::new();
        {
            let mut store = lock(&self.store);
            if now.saturating_duration_since(store.swept) < pause {
                return;
            }
            store.swept = now;
            let second = self.clock.at(now);
            store.entries.retain(|_, (entry, _)| {
                let over = entry.is_over(second, now, self.idle);
                if over {
                    expired.push(entry.clone());
                }
                !over
            });
        }
        // Closing wakes and drops what others wrote, which must not happen under the lock.
        expired.iter().for_each(|entry| entry.close());
    }
}

/// 128 bits that nobody can guess, as hexadecimal digits.
pub(in crate::edge) fn mint() -> Result<Arc<str>, Problem> {
    let random = random()?;
    let mut id = String::with_capacity(2 * random.len());
    for byte in random {
        write!(id, "{byte:02x}").expect("a String takes every byte");
    }
    Ok(id.into())
}

fn random() -> Result<[u8; 16], Problem> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|error| no_randomness(&error))?;
    Ok(random)
}

fn no_randomness(error: &getrandom::Error) -> Problem {
    tracing::error!(%error, "the operating system gives no random bytes");
    Problem::rpc(500, -32603, "internal error")
}

fn bound(owner: &Mark, mount: &str) -> Mark {
    let digest = Sha256::new().chain_update(owner).chain_update(mount).finalize();
    digest[..16].try_into().expect("16 bytes of 32")
}

fn full() -> Refusal {
    let problem = Problem::new(503, "too_many_sessions", "too many sessions are open");
    problem.with_retry_after(Duration::from_secs(5)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Revision, edge::legacy::client::Told, json::Json};

    #[tokio::test(start_paused = true)]
    async fn who_finds_a_session_over_leaves_the_one_alone_that_it_was_opened_again_as() {
        let settings = Settings::default();
        let sessions = Sessions::new(&settings, Keys::generate().unwrap());
        let (nobody, empty) = (Mark::default(), Json::from_static("{}"));
        let (stamp, nonce) = sessions.stamp().unwrap();
        let told = Told { revision: Revision::V2025_11_25, info: empty.clone(), capabilities: empty };
        let id = Token::seal(sessions.keys(), nonce, &told, stamp, sessions.bound(&nobody));
        let id = HeaderValue::from_str(&id).unwrap();
        let former = sessions.find(&id, &nobody).unwrap();
        tokio::time::advance(settings.session_idle).await;
        let latter = sessions.find(&id, &nobody).unwrap();
        assert!(former.ended().is_cancelled() && !Arc::ptr_eq(&former, &latter));
        // Another request had looked at the former by then.
        sessions.expire(&former);
        assert!(!latter.ended().is_cancelled());
        assert!(Arc::ptr_eq(&sessions.known(id.as_bytes(), &nobody).unwrap(), &latter));
        sessions.expire(&latter);
        assert_eq!((latter.ended().is_cancelled(), sessions.len()), (true, 0));
    }
}
