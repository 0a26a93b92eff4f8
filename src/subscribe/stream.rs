use super::{
    hub::Subscription,
    wishes::{self, Lists},
};
use crate::{
    BoxError,
    json::{Json, Params},
    reply::{Event, Note, Outcome},
    route::Versions,
};
use futures_util::{Stream, stream};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// The shortest time between two tellings of lists on one stream, so that a server whose lists flicker does not make
/// every client ask for them all the time.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

struct Listener {
    lists: Lists,
    versions: watch::Receiver<Versions>,
    resources: Option<Subscription>,
    shutdown: CancellationToken,
    told: Versions,
    /// What is to be told at once.
    pending: Lists,
    /// Before that, nothing more is told of lists.
    quiet_until: Option<Instant>,
    acknowledged: bool,
}

/// The acknowledgement, then the changes from here on.
pub(super) fn changes(
    lists: Lists,
    versions: watch::Receiver<Versions>,
    resources: Option<Subscription>,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<Event, BoxError>> + Send {
    let told = *versions.borrow();
    let (pending, quiet_until, acknowledged) = (Lists::default(), None, false);
    let listener = Listener { lists, versions, resources, shutdown, told, pending, quiet_until, acknowledged };
    stream::unfold(listener, |mut listener| async move { Some((Ok(listener.next().await), listener)) })
}

impl Listener {
    async fn next(&mut self) -> Event {
        if !self.acknowledged {
            let acknowledgement = self.acknowledge().await;
            self.acknowledged = true;
            return acknowledgement.into();
        }
        loop {
            if let Some(method) = self.pending.take_first() {
                return Event::from(Note::new(method, Params::empty()));
            }
            let shutdown = self.shutdown.clone();
            if shutdown.is_cancelled() {
                return Event::Done(Outcome::Result(Json::from_static("{}")));
            }
            // In no order: a resource that changes all the time must not keep back what is told of lists.
            tokio::select! {
                () = shutdown.cancelled() => {}
                uri = updated(self.resources.as_ref()) => return wishes::updated(uri).into(),
                changed = change(&mut self.versions, self.lists, self.told, self.quiet_until) => match changed {
                    Some(versions) => self.changed(versions),
                    None => return Event::Done(Outcome::Result(Json::from_static("{}"))),
                },
            }
        }
    }

    /// Says what is honoured, once servers have said what they tell of.
    async fn acknowledge(&self) -> Note {
        let Some(resources) = &self.resources else {
            return wishes::acknowledgement(self.lists, std::iter::empty());
        };
        tokio::select! {
            () = resources.decided() => {}
            () = self.shutdown.cancelled() => {}
        }
        wishes::acknowledgement(self.lists, resources.honoured())
    }

    fn changed(&mut self, versions: Versions) {
        self.pending = self.lists.changed(&self.told, &versions);
        self.told = versions;
        self.quiet_until = Some(Instant::now() + MIN_INTERVAL);
    }
}

async fn updated(resources: Option<&Subscription>) -> &str {
    match resources {
        Some(resources) => resources.updated().await,
        None => std::future::pending().await,
    }
}

/// Waits for something to tell of lists, and until it may be told; `None` if there will never be anything. Dropping
/// the future loses nothing.
async fn change(
    versions: &mut watch::Receiver<Versions>,
    lists: Lists,
    told: Versions,
    quiet_until: Option<Instant>,
) -> Option<Versions> {
    versions.wait_for(|versions| !lists.changed(&told, versions).is_empty()).await.ok()?;
    if let Some(quiet_until) = quiet_until {
        sleep_until(quiet_until).await;
    }
    // Read after the wait: what changed meanwhile is told with it.
    Some(*versions.borrow_and_update())
}
