use super::{Entry, Server, Status};
use crate::{
    BoxError,
    catalog::Listing,
    error::causes,
    health::{Board, Verdict},
    upstream,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio_util::task::TaskTracker;

/// One registration, from `register` until its last connection has ended.
pub(super) struct Member {
    pub(super) server: Server,
    pub(super) configured: bool,
    begun: AtomicBool,
    offer: Mutex<Offer>,
}

/// What is known of a member's lists.
#[derive(Clone, Default)]
struct Offer {
    listing: Option<Arc<Listing>>,
    error: Option<String>,
}

impl Member {
    pub(super) fn new(server: Server, configured: bool, settings: &Arc<upstream::Settings>) -> Self {
        // A tracker of its own: the registry can tell when this server's connection has ended.
        let server = server.attach(Arc::clone(settings), TaskTracker::new());
        Self { server, configured, begun: AtomicBool::new(false), offer: Mutex::default() }
    }

    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    fn offer(&self) -> Offer {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn listing(&self) -> Option<Arc<Listing>> {
        self.offer().listing
    }

    /// Whether the lists have been fetched, or failed to be, at least once.
    pub(super) fn has_answered(&self) -> bool {
        let offer = self.offer();
        offer.listing.is_some() || offer.error.is_some()
    }

    /// Takes a new listing; a failure keeps the last good one.
    pub(super) fn offered(&self, result: Result<Arc<Listing>, BoxError>) {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(listing) => *offer = Offer { listing: Some(listing), error: None },
            Err(error) => offer.error = Some(causes(&*error)),
        }
    }

    pub(super) fn entry(&self, board: &Board, stopping: bool) -> Entry {
        let (id, offer) = (self.server.id(), self.offer());
        let verdict = board.verdict(id.as_str());
        let status = match (stopping, self.has_begun()) {
            (true, _) => Status::Stopped,
            (false, false) => Status::Registered,
            (false, true) => Status::of(&verdict),
        };
        Entry {
            id: id.clone(),
            name: self.server.name().clone(),
            transport: self.server.connection().transport(),
            status,
            error: match &verdict {
                Verdict::Ill(reason) => Some(reason.to_string()),
                _ => offer.error,
            },
            listing: offer.listing,
            last_health_check: board.last_check(id.as_str()),
            metadata: self.server.metadata_of().clone(),
        }
    }
}
