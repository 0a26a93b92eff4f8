use super::{Entry, Measured, Resend, Server, Status, terms::Terms};
use crate::{
    BoxError,
    catalog::{Item, Kind, Listing},
    error::causes,
    health::{Verdict, Vital},
    json::Json,
    load::Meter,
    pin::{Pin, Prints, Review},
    toolset::Toolset,
    upstream,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio_util::task::TaskTracker;

/// One registration, from `register` until its last connection has ended.
pub(super) struct Member {
    pub(super) server: Server,
    pub(super) configured: bool,
    /// Takes over from another of its id.
    pub(super) succeeds: bool,
    /// Set when the driver begins with it. Not looked up by id: a later registration may have the same one.
    vital: OnceLock<(Vital, Meter)>,
    offer: Mutex<Offer>,
    /// Those of `server`, until a reload sets others.
    terms: Mutex<Terms>,
}

/// What is known of a member's lists.
#[derive(Clone, Default)]
struct Offer {
    /// What clients may have of it.
    listing: Option<Arc<Listing>>,
    /// All of it, as the server listed it.
    raw: Option<Arc<Listing>>,
    /// What its tools are compared by, once that was needed.
    prints: Option<Prints>,
    error: Option<String>,
}

impl Member {
    pub(super) fn new(server: Server, configured: bool, settings: &Arc<upstream::Settings>) -> Self {
        // A tracker of its own: the registry can tell when this server's connection has ended.
        let server = server.attach(Arc::clone(settings), TaskTracker::new());
        let (vital, offer, terms) = (OnceLock::new(), Mutex::default(), Mutex::new(server.terms().clone()));
        Self { server, configured, succeeds: false, vital, offer, terms }
    }

    /// Takes over what the last one of this id offered, until it has been asked itself.
    pub(super) fn inherit(&self, old: &Member) {
        let offer = Offer { error: None, ..old.offer() };
        *self.offer.lock().unwrap_or_else(PoisonError::into_inner) = offer;
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on under the terms of `server`, which is the same but for them; tells which fields are others.
    pub(super) fn adopt(&self, server: &Server) -> Vec<&'static str> {
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *terms, server.terms().clone());
        old.differences(&terms)
    }

    pub(super) fn begin(&self, vital: Vital, meter: Meter) {
        // The driver begins with a member once.
        let _ = self.vital.set((vital, meter));
    }

    /// Its health, once the driver has begun with it.
    pub(super) fn vital(&self) -> Option<&Vital> {
        self.vital.get().map(|(vital, _)| vital)
    }

    /// The verdict on it, unknown before the driver has begun with it.
    pub(super) fn verdict(&self) -> Verdict {
        self.vital().map(Vital::verdict).unwrap_or_default()
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
            // What was offered before stands until the new one is reviewed.
            Ok(raw) => *offer = Offer { listing: offer.listing.take(), raw: Some(raw), ..Offer::default() },
            Err(error) => offer.error = Some(causes(&*error)),
        }
    }

    /// What its tools are compared by; `None` if they are not compared, or not known. Then all of them are offered.
    pub(super) fn prints(&self, pin: Pin) -> Option<Prints> {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        let raw = offer.raw.clone()?;
        if pin == Pin::Off {
            offer.listing = Some(raw);
            return None;
        }
        Some(offer.prints.get_or_insert_with(|| raw.prints()).clone())
    }

    /// Offers what may be of its listing, and counts what changed since the last one.
    pub(super) fn reviewed(&self, review: Review, pin: Pin) {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(raw) = offer.raw.clone() else { return };
        let known = offer.listing.as_ref().map_or(&[][..], |listing| &listing.changed);
        let new = review.changes.iter().filter(|change| !known.contains(change)).count();
        self.server.calls().changed(new);
        let is_clean = review.changes.is_empty() && review.beyond == 0;
        offer.listing = Some(if is_clean { raw } else { Arc::new(raw.reviewed(review, pin)) });
    }

    /// The tools it lists, each with whether a call that was sent may be sent again: by the operator's word about the
    /// tool in `toolset`, else by the server's where the operator trusts that.
    pub(super) fn tools(&self, toolset: &Toolset) -> Vec<(Box<str>, bool)> {
        let Some(listing) = self.listing() else { return Vec::new() };
        let trusted = self.terms().resend == Resend::Idempotent;
        let twice = |tool: &Item| match toolset.of(&tool.key).and_then(|settings| settings.resend) {
            Some(resend) => resend == Resend::Idempotent,
            None => trusted && runs_twice(&tool.json),
        };
        listing.list(Kind::Tools).items.iter().map(|tool| (tool.key.clone(), twice(tool))).collect()
    }

    fn status(&self, stopping: bool, verdict: &Verdict) -> Status {
        match (stopping, self.vital()) {
            (true, _) => Status::Stopped,
            (false, None) => Status::Registered,
            (false, Some(_)) => Status::of(verdict),
        }
    }

    pub(super) fn measured(&self, stopping: bool) -> Measured {
        Measured {
            id: self.server.id().clone(),
            name: self.server.name().clone(),
            status: self.status(stopping, &self.verdict()),
            calls: self.server.calls().clone(),
            in_flight: self.vital.get().map_or(0, |(_, meter)| meter.in_flight()),
            breaker_opened: self.vital().map_or(0, Vital::breaker_opened),
        }
    }

    pub(super) fn entry(&self, stopping: bool) -> Entry {
        let (verdict, offer) = (self.verdict(), self.offer());
        Entry {
            id: self.server.id().clone(),
            name: self.server.name().clone(),
            transport: self.server.connection().transport(),
            status: self.status(stopping, &verdict),
            error: match &verdict {
                Verdict::Ill(reason) => Some(reason.to_string()),
                _ => offer.error,
            },
            listing: offer.listing,
            last_health_check: self.vital().and_then(Vital::last_check),
            metadata: self.server.metadata_of().clone(),
        }
    }
}

/// Whether a tool says that running it twice does no more than running it once.
fn runs_twice(tool: &Json) -> bool {
    let Some(annotations) = tool.member("annotations") else { return false };
    let says = |hint| annotations.member(hint).is_some_and(|value| value.as_str() == "true");
    says("readOnlyHint") || says("idempotentHint")
}
