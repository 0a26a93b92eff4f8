use super::{fetch::Fetch, verify::Key};
use arc_swap::ArcSwapOption;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// How long keys are used without a look at whether they still are the issuer's: within it, a withdrawn key is not noticed.
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
    turn: Semaphore,
    budget: Mutex<Budget>,
}

struct Held {
    keys: Vec<Key>,
    since: Instant,
}

struct Budget {
    left: u32,
    refilled: Instant,
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

impl std::ops::Deref for Keys {
    type Target = [Key];

    fn deref(&self) -> &[Key] {
        &self.0.keys
    }
}

impl Jwks {
    pub(super) fn new(fetch: Fetch) -> Self {
        let budget = Mutex::new(Budget { left: BURST, refilled: Instant::now() });
        Self { fetch, held: ArcSwapOption::empty(), turn: Semaphore::new(1), budget }
    }

    /// The keys, while they need not be looked after.
    pub(super) fn fresh(&self) -> Option<Keys> {
        self.younger(FRESH)
    }

    fn younger(&self, age: Duration) -> Option<Keys> {
        self.held.load_full().filter(|held| held.since.elapsed() < age).map(Keys)
    }

    /// The keys, fetched anew unless there are fresh ones that are `enough`; old ones where that fails. `None` if there are
    /// none at all.
    pub(super) async fn renewed(&self, enough: impl Fn(&[Key]) -> bool) -> Option<Keys> {
        let _turn = self.turn.acquire().await.ok()?;
        if let Some(keys) = self.fresh().filter(|keys| enough(keys)) {
            return Some(keys);
        }
        if self.budget.lock().unwrap_or_else(PoisonError::into_inner).spend() {
            match self.fetch.keys().await {
                Ok(keys) => self.held.store(Some(Arc::new(Held { keys, since: Instant::now() }))),
                Err(reason) => tracing::warn!(reason, "the keys of the authorization server cannot be fetched"),
            }
        }
        self.younger(STALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn made_up_keys_do_not_become_requests() {
        let mut budget = Budget { left: BURST, refilled: Instant::now() };
        let granted = |budget: &mut Budget, asked: usize| (0..asked).filter(|_| budget.spend()).count();
        assert_eq!(granted(&mut budget, 1000), 3);
        tokio::time::advance(REFILL).await;
        assert_eq!(granted(&mut budget, 1000), 1);
        tokio::time::advance(REFILL * 1000).await;
        assert_eq!(granted(&mut budget, 1000), 3);
    }
}
