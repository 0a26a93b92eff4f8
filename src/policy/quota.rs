use crate::{
    BoxError,
    auth::{Mark, Principal},
    error::Problem,
    rate::{self, Bucket},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most principals that are counted apart, under one policy. Beyond it those that have nothing in flight are forgotten,
/// who then begin with a full allowance; if all have, the next ones share one.
const MAX_PRINCIPALS: usize = 4096;

/// What each principal of one policy uses.
pub(super) struct Accounts {
    quota: Option<rate::Quota>,
    max_in_flight: Option<usize>,
    open: Mutex<HashMap<Mark, Account>>,
}

/// What one principal uses; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    bucket: Option<Arc<Bucket>>,
    slots: Option<Arc<Semaphore>>,
    slots_in_all: usize,
}

impl Accounts {
    pub(super) fn new(quota: Option<rate::Quota>, max_in_flight: Option<usize>) -> Self {
        Self { quota, max_in_flight, open: Mutex::default() }
    }

    pub(super) fn of(&self, principal: &Principal) -> Option<Account> {
        if self.quota.is_none() && self.max_in_flight.is_none() {
            return None;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = open.get(&principal.mark()) {
            return Some(account.clone());
        }
        if open.len() >= MAX_PRINCIPALS {
            open.retain(|_, account| account.is_busy());
        }
        let mark = if open.len() < MAX_PRINCIPALS { principal.mark() } else { Mark::default() };
        let slots_in_all = self.max_in_flight.unwrap_or_default().min(Semaphore::MAX_PERMITS);
        let account = || Account {
            bucket: self.quota.map(|quota| Arc::new(Bucket::new(quota))),
            slots: self.max_in_flight.map(|_| Arc::new(Semaphore::new(slots_in_all))),
            slots_in_all,
        };
        Some(open.entry(mark).or_insert_with(account).clone())
    }
}

impl Account {
    fn is_busy(&self) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots.available_permits() < self.slots_in_all)
    }

    /// Counts one request; the permit is its place among those in flight.
    ///
    /// # Errors
    ///
    /// 429, if there is no place or the rate is exceeded.
    #[inline(never)]
    pub(super) fn enter(&self, stays: bool) -> Result<Option<OwnedSemaphorePermit>, BoxError> {
        let permit = match &self.slots {
            Some(slots) if stays => Some(slots.clone().try_acquire_owned().map_err(|_| crowded())?),
            _ => None,
        };
        if let Some(bucket) = &self.bucket {
            bucket.take()?;
        }
        Ok(permit)
    }
}

fn crowded() -> Problem {
    let problem = Problem::new(429, "too_many_calls", "too many calls of this client are in flight");
    problem.with_retry_after(Duration::from_secs(1))
}
