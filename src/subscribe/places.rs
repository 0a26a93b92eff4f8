use super::shares::Shares;
use crate::auth::Mark;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Room for so many streams.
#[derive(Debug)]
pub(super) struct Places(Mutex<Shares>);

/// The place of one stream; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    owner: Mark,
}

impl Places {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Shares::new(limit))))
    }

    /// A place for this principal; `None` if there is none for it.
    pub(super) fn take(self: &Arc<Self>, owner: Mark) -> Option<Place> {
        let mut shares = self.lock();
        shares.fits(owner, 1, 1).then(|| shares.take(owner, 1, 1))?;
        Some(Place { places: self.clone(), owner })
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().give_back(self.owner, 1, 1);
    }
}
