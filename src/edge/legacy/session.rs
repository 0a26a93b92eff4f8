use super::{
    cancel::Cancel,
    client::Client,
    feed::Feed,
    history::{Budget, History},
    questions::Questions,
    rounds::Asking,
    token::{Stamp, Token},
};
use crate::{
    Call, Method, Revision,
    auth::Mark,
    clock,
    edge::{error::Refusal, outbox::Outbox},
    error::Problem,
    json::{Id, Params},
    reply::Note,
};
use ahash::RandomState;
use http::Extensions;
use std::{
    collections::{HashMap, hash_map},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The severities, least first (RFC 5424, as in "server/utilities/logging").
pub(super) const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// One session, with what runs in it.
///
/// It is shared by the store, by each call in flight (through its [`Ticket`]) and by open streams. Its end is one token
/// that all of them watch, so ending it needs neither a list of them nor their help.
pub(in crate::edge) struct Entry {
    id: Arc<str>,
    /// Of a session whose id can open it again.
    stamp: Option<Stamp>,
    /// Whose it is; to everybody else it does not exist.
    owner: Mark,
    /// Set by `initialize`; from the start for Streamable HTTP, where the session is its result.
    client: OnceLock<Client>,
    /// The stream of an HTTP+SSE client, which is that client's session.
    queue: Option<Outbox>,
    ended: CancellationToken,
    calls: Mutex<Calls>,
    /// Where the level stands among [`LEVELS`]; behind all of them until one is set.
    level: AtomicU8,
    listening: AtomicBool,
    questions: Questions,
    asking: Asking,
    history: History,
    feed: Feed,
    since: Instant,
    /// Nanoseconds behind `since`: noted with each call, so not under a lock.
    seen: AtomicU64,
}

#[derive(Default)]
struct Calls {
    running: HashMap<Id, Cancel, RandomState>,
    /// Whether the session has ended: a call that begins then finds it here.
    closed: bool,
}

impl Entry {
    /// The most calls one session may have in flight: far above what one client asks at once, and few enough that a
    /// client that never takes its answers keeps a bounded number of them here.
    const MAX_CALLS: usize = 256;

    /// The session that is the one stream of a client of HTTP+SSE, or the pipe of one of stdio.
    pub(in crate::edge) fn streaming(id: Arc<str>, owner: Mark, queue: Outbox) -> Self {
        let mut entry = Self::new(id, owner, None, Arc::default(), 0);
        entry.queue = Some(queue);
        entry
    }

    /// A session of Streamable HTTP, which the client's id can open again.
    pub(super) fn sealed(client: Client, owner: Mark, stamp: Stamp, budget: Arc<Budget>) -> Self {
        let entry = Self::new(client.session().shared_id().clone(), owner, Some(stamp), budget, 0);
        entry.introduce(client);
        entry
    }

    /// A session of which nothing but its id is left.
    pub(super) fn revived(id: Arc<str>, owner: Mark, token: Token, budget: Arc<Budget>) -> Self {
        let client = Client::new(id.clone(), token.told);
        // Ids of questions and events that were given before must not be given again.
        let base = u64::from(fastrand::u32(1..)) << 16;
        let entry = Self::new(id, owner, Some(token.stamp), budget, base);
        entry.introduce(client);
        entry
    }

    fn new(id: Arc<str>, owner: Mark, stamp: Option<Stamp>, budget: Arc<Budget>, base: u64) -> Self {
        Self {
            id,
            stamp,
            owner,
            client: OnceLock::new(),
            queue: None,
            ended: CancellationToken::new(),
            calls: Mutex::default(),
            level: AtomicU8::new(u8::MAX),
            listening: AtomicBool::new(false),
            questions: Questions::new(base),
            asking: Asking::default(),
            history: History::new(base, budget),
            feed: Feed::default(),
            since: clock::now(),
            seen: AtomicU64::new(0),
        }
    }

    /// How its client is asked what results ask for.
    #[must_use]
    pub(in crate::edge) fn with_asking(mut self, asking: Asking) -> Self {
        self.asking = asking;
        self
    }

    pub(super) fn asking(&self) -> &Asking {
        &self.asking
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn is_of(&self, owner: &Mark) -> bool {
        self.owner == *owner
    }

    pub(super) fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_ref()
    }

    pub(in crate::edge) fn questions(&self) -> &Questions {
        &self.questions
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Whether the client's revision begins streams with an event that has nothing but an id; before, clients take it
    /// for a broken message.
    pub(super) fn is_primed(&self) -> bool {
        self.client().is_some_and(|client| client.session().revision() >= Revision::V2025_11_25)
    }

    pub(in crate::edge) fn queue(&self) -> Option<&Outbox> {
        self.queue.as_ref()
    }

    pub(in crate::edge) fn client(&self) -> Option<&Client> {
        self.client.get()
    }

    /// Takes what `initialize` told; `false` if it has been told before.
    pub(super) fn introduce(&self, client: Client) -> bool {
        self.client.set(client).is_ok()
    }

    /// Cancelled when the session ends.
    pub(in crate::edge) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Ends the session: its calls and streams, and what layers behind keep for it.
    pub(in crate::edge) fn close(&self) {
        self.ended.cancel();
        let mut calls = lock(&self.calls);
        calls.closed = true;
        calls.running.values().for_each(Cancel::set);
        drop(calls);
        if let Some(client) = self.client.get() {
            client.session().close();
        }
        self.questions.close();
        self.history.close();
        self.feed.close();
    }

    pub(super) fn touch(&self, now: Instant) {
        self.seen.store(now.saturating_duration_since(self.since).as_nanos() as u64, Ordering::Relaxed);
    }

    /// Whether at `now`, which lies in this `second`, its time is up, or nothing runs and nobody has come for this long.
    pub(super) fn is_over(&self, second: u64, now: Instant, idle: Duration) -> bool {
        let expired = self.stamp.is_some_and(|stamp| stamp.expires <= second);
        // First what is seldom so.
        let seen = || self.since + Duration::from_nanos(self.seen.load(Ordering::Relaxed));
        let unseen = || now.saturating_duration_since(seen()) >= idle;
        let rests = || self.queue.is_none() && !self.is_listening() && lock(&self.calls).running.is_empty();
        expired || (unseen() && rests())
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Acquire)
    }

    pub(super) fn set_level(&self, level: &'static str) {
        let at = LEVELS.iter().position(|known| *known == level);
        self.level.store(at.map_or(u8::MAX, |at| at as u8), Ordering::Relaxed);
    }

    fn level(&self) -> Option<&'static str> {
        LEVELS.get(usize::from(self.level.load(Ordering::Relaxed))).copied()
    }

    /// Whether the client wants to know: of log messages, those as severe as the level it has set.
    pub(super) fn admits(&self, note: &Note) -> bool {
        let severity = |level: &str| LEVELS.iter().position(|known| *known == level);
        let Some(wanted) = self.level().filter(|_| note.method == Method::MESSAGE) else { return true };
        let level = note.params.member("level").and_then(|level| level.read::<String>().ok());
        level.and_then(|level| severity(&level)).is_none_or(|level| Some(level) >= severity(wanted))
    }

    /// A request of this session as one that stands for itself; `None` before `initialize`.
    pub(super) fn call(&self, method: Method, params: &Params, extensions: Extensions) -> Option<Call> {
        Some(self.client.get()?.call(method, params, self.level(), extensions))
    }

    /// A place for the call with this id.
    ///
    /// # Errors
    ///
    /// The id is in use, or there are too many calls.
    pub(super) fn begin(self: &Arc<Self>, id: &Id) -> Result<Ticket, Refusal> {
        let cancel = Cancel::default();
        let mut calls = lock(&self.calls);
        let Calls { running, closed } = &mut *calls;
        let full = running.len() >= Self::MAX_CALLS;
        match running.entry(id.clone()) {
            hash_map::Entry::Occupied(_) => {
                Err(Refusal::invalid("a request with this id is still running").with_id(id))
            }
            hash_map::Entry::Vacant(_) if full => {
                let problem = Problem::new(503, "overloaded", "too many calls are in flight in this session");
                Err(Refusal::from(problem.with_retry_after(Duration::from_secs(1))).with_id(id))
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(cancel.clone());
                // Under the lock: a session that ends from now on finds the call in its place.
                if *closed {
                    cancel.set();
                }
                Ok(Ticket { entry: self.clone(), id: id.clone(), cancel })
            }
        }
    }

    /// Takes back the running call with this id, if there is one.
    pub(in crate::edge) fn cancel(&self, id: &Id) {
        let cancel = lock(&self.calls).running.get(id).cloned();
        if let Some(cancel) = cancel {
            cancel.set();
        }
    }

    /// The one place for a stream of what is told outside of calls; `None` while it is taken.
    pub(in crate::edge) fn listen(self: &Arc<Self>) -> Option<Listening> {
        let free = self.listening.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        free.is_ok().then(|| Listening(self.clone()))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // What is kept behind for a session goes with it, whoever held it last; of one that was closed nothing is kept.
        if !self.ended.is_cancelled() {
            self.close();
        }
    }
}

/// The place of one running call in its session; given back when it is dropped, whoever holds it by then.
pub(super) struct Ticket {
    entry: Arc<Entry>,
    id: Id,
    cancel: Cancel,
}

impl Ticket {
    /// Set by the client's notification or the end of the session.
    pub(super) fn cancelled(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.entry.calls).running.remove(&self.id);
        self.entry.touch(clock::now());
    }
}

/// The place of the one open stream.
pub(in crate::edge) struct Listening(Arc<Entry>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.feed.unread();
        if let Some(client) = self.0.client() {
            client.session().unheard();
        }
        self.0.touch(clock::now());
        // Last: whoever takes the place next must not lose to this what it begins.
        self.0.listening.store(false, Ordering::Release);
    }
}

/// What the locks of this module protect is whole at every step, so a panic elsewhere leaves nothing broken.
pub(in crate::edge) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edge::legacy::client::Told,
        json::{Json, Params},
        reply::Ask,
    };
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Wake, Waker},
    };

    /// Notes, when it is woken, whether the place is taken.
    struct Looking(Arc<Entry>, Mutex<Option<bool>>);

    impl Wake for Looking {
        fn wake(self: Arc<Self>) {
            *lock(&self.1) = Some(self.0.is_listening());
        }
    }

    #[tokio::test]
    async fn the_place_of_the_stream_is_free_only_once_nothing_is_left_of_the_one_before() {
        let (info, capabilities) = (Json::from_static("{}"), Json::from_static(r#"{"roots":{}}"#));
        let client = Client::new("7", Told { revision: Revision::V2025_11_25, info, capabilities });
        let entry = Arc::new(Entry::sealed(client, Mark::default(), Stamp { expires: 0, id: [0; 16] }, Arc::default()));
        let place = entry.listen().unwrap();
        let session = entry.client().unwrap().session().clone();
        assert!(session.poll_told(&mut Context::from_waker(Waker::noop())).is_pending());
        let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
        session.ask(ask);
        let looking = Arc::new(Looking(entry.clone(), Mutex::default()));
        let mut answer = pin!(answer);
        assert!(answer.as_mut().poll(&mut Context::from_waker(&looking.clone().into())).is_pending());
        drop(place);
        assert_eq!((*lock(&looking.1), entry.is_listening()), (Some(true), false));
    }
}
