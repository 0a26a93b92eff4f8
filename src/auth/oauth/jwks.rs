use super::{fetch::Fetch, verify::Key};
use arc_swap::ArcSwapOption;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, sync::Semaphore, time::Instant};

/// How long keys are used without a look at whether they still are the issuer's: within it, a withdrawn key is not noticed,
/// and after it by the first request that comes when the look has ended.
const FRESH: Duration = Duration::from_secs(600);
/// How long they are used while newer ones cannot be fetched: an issuer that is down for a night locks nobody out.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Fetches at once, and how often one more: tokens with made-up key ids must not become requests at the issuer.
const BURST: u32 = 3;
const REFILL: Duration = Duration::from_secs(10);

/// The keys of an issuer.
pub(super) struct Jwks {
    fetch: Fetch,
    held: ArcSwapOption<Held>,
    /// One fetch at a time; who waited finds what the one before has fetched.
    turn: Arc<Semaphore>,
    budget: Mutex<Budget>,
}

struct Held {
    keys: Vec<Key>,
    since: Instant,
}

struct Budget {
    left: u32,
    refilled: Instant,
    /// When a fetch ended last that brought nothing.
    failed: Option<Instant>,
}

impl Budget {
    fn spend(&mut self) -> bool {
        let now = Instant::now();
        let earned = (now - self.refilled).as_secs() / REFILL.as_secs();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(BURST)).min(BURST);
            self.refilled = now;
        }
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }
}

/// Keys at one moment.
pub(super) struct Keys(Arc<Held>);

impl Keys {
    /// Whether they need not be looked after.
    pub(super) fn are_fresh(&self) -> bool {
        self.0.since.elapsed() < FRESH
    }
}

impl std::ops::Deref for Keys {
    type Target = [Key];

    fn deref(&self) -> &[Key] {
        &self.0.keys
    }
}

impl Jwks {
    pub(super) fn new(fetch: Fetch) -> Self {
        let budget = Mutex::new(Budget { left: BURST, refilled: Instant::now(), failed: None });
        Self { fetch, held: ArcSwapOption::empty(), turn: Arc::new(Semaphore::new(1)), budget }
    }

    /// The keys that are at hand.
    pub(super) fn held(&self) -> Option<Keys> {
        self.held.load_full().filter(|held| held.since.elapsed() < STALE).map(Keys)
    }

    /// Fetches newer keys while requests go on, unless that is under way; not more often than the budget has it.
    pub(super) fn renew_behind(self: &Arc<Self>) {
        if let (Ok(turn), Ok(runtime)) = (self.turn.clone().try_acquire_owned(), Handle::try_current())
            && self.budget().spend()
        {
            let jwks = self.clone();
            runtime.spawn(async move {
                jwks.renew().await;
                drop(turn);
            });
        }
    }

    /// The keys, fetched anew unless there are fresh ones that are `enough`; old ones where that fails. `None` if there are
    /// none at all.
    pub(super) async fn renewed(&self, enough: impl Fn(&[Key]) -> bool) -> Option<Keys> {
        let since = Instant::now();
        let _turn = self.turn.acquire().await.ok()?;
        if let Some(keys) = self.held().filter(|keys| keys.are_fresh() && enough(keys)) {
            return Some(keys);
        }
        // Whoever waited for a fetch that brought nothing would wait as long for another.
        let granted = {
            let mut budget = self.budget();
            budget.failed.is_none_or(|failed| failed <= since) && budget.spend()
        };
        if granted {
            self.renew().await;
        }
        self.held()
    }

    async fn renew(&self) {
        match self.fetch.keys().await {
            Ok(keys) => self.held.store(Some(Arc::new(Held { keys, since: Instant::now() }))),
            Err(reason) => {
                tracing::warn!(reason, "the keys of the authorization server cannot be fetched");
                self.budget().failed = Some(Instant::now());
            }
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
