use crate::{
    BoxError, Call,
    rate::{Bucket, Quota},
    toolset::ToolSettings,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tower::load_shed::error::Overloaded;

/// What calls of one target may take beside what all calls may; made with a table, and kept by the next one where the
/// terms are the same, so that its counts go on.
#[derive(Debug)]
pub(crate) struct Allowance {
    terms: Terms,
    slots: Option<Arc<Semaphore>>,
    bucket: Option<Bucket>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Terms {
    silence: Option<Duration>,
    max_in_flight: Option<usize>,
    rate: Option<Quota>,
}

/// A call's right to go on.
pub(super) enum Entry {
    /// At once, holding this.
    Now(Option<OwnedSemaphorePermit>),
    /// When another call of the target has ended.
    Turn(Arc<Semaphore>),
}

impl Allowance {
    /// That of everything of a server whose calls have this longest silence; `None` if nothing is special about them.
    pub(crate) fn of_server(silence: Option<Duration>) -> Option<Arc<Self>> {
        silence.map(|silence| Arc::new(Self::new(Terms { silence: Some(silence), ..Terms::default() })))
    }

    /// That of a tool with these settings: `server`'s if they add nothing, `previous` if it has the same terms.
    pub(crate) fn of_tool(
        settings: &ToolSettings,
        server: Option<&Arc<Self>>,
        previous: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let silence = settings.request_timeout.or(server.and_then(|server| server.terms.silence));
        let terms = Terms { silence, max_in_flight: settings.max_in_flight, rate: settings.rate };
        let same = |known: &&Arc<Self>| known.terms == terms;
        if terms == Terms::default() {
            return None;
        }
        let known = server.filter(same).or_else(|| previous.filter(same)).cloned();
        Some(known.unwrap_or_else(|| Arc::new(Self::new(terms))))
    }

    fn new(terms: Terms) -> Self {
        let slots = terms.max_in_flight.map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        Self { terms, slots, bucket: terms.rate.map(Bucket::new) }
    }

    /// Lets a call in, and tells the [`Timeout`](crate::timeout::Timeout) in front how long it may be silent.
    ///
    /// # Errors
    ///
    /// [`Exceeded`](crate::rate::error::Exceeded).
    pub(super) fn admit(&self, call: &Call) -> Result<Entry, BoxError> {
        if let (Some(silence), Some(lapse)) = (self.terms.silence, &call.lapse) {
            lapse.allow(silence);
        }
        if let Some(bucket) = &self.bucket {
            bucket.take()?;
        }
        let Some(slots) = &self.slots else { return Ok(Entry::Now(None)) };
        Ok(match slots.clone().try_acquire_owned() {
            Ok(slot) => Entry::Now(Some(slot)),
            Err(_) => Entry::Turn(slots.clone()),
        })
    }
}

impl Entry {
    /// The permit, once it can be had.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if that takes too long.
    pub(super) async fn wait(self) -> Result<Option<OwnedSemaphorePermit>, BoxError> {
        match self {
            Entry::Now(slot) => Ok(slot),
            Entry::Turn(slots) => match timeout(ToolSettings::PATIENCE, slots.acquire_owned()).await {
                Ok(Ok(slot)) => Ok(Some(slot)),
                _ => Err(Overloaded::new().into()),
            },
        }
    }
}
