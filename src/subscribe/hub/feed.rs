//! The upstream stream of one endpoint.

use super::{Hub, topics::Uris};
use crate::{
    BoxError, Call, EndpointId, Method, Reply,
    catalog::Terms,
    json::{Json, object::Edit, write},
    reply::{Event, Events, Outcome},
    upstream::Backoff,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower::{Service, ServiceExt};

/// The longest wait for an endpoint's acknowledgement. It costs nothing but the URIs' turn: the stream before it goes on.
pub(super) const ACKNOWLEDGE: Duration = Duration::from_secs(10);
/// How long the stream before is still read once another has taken its place: what the server said on it last may be on
/// its way.
const OVERLAP: Duration = Duration::from_secs(1);
/// A stream that lived longer than this was no failure, so the pause before the next one is short again.
const STEADY: Duration = Duration::from_secs(10);

/// Keeps one `subscriptions/listen` at an endpoint, for all URIs that clients listen to there.
///
/// When the URIs change, another stream is opened for all of them, and the one before is dropped after the other was
/// acknowledged: nobody's subscription has a gap because somebody else came or went. Changes that come while one is
/// being opened wait for it and are one change then. A stream that is lost is opened again after a pause with jitter,
/// up to 2 s; its URIs count as updated afterwards. While nobody listens there is no stream.
pub struct Feed<S> {
    hub: Hub,
    endpoint: EndpointId,
    /// Which of the feeds of this endpoint this is.
    number: u64,
    changed: Arc<Notify>,
    service: S,
    terms: Terms,
    backoff: Backoff,
    /// Subscriptions that clients have in sessions of their own.
    own: JoinSet<()>,
}

/// A stream that was acknowledged.
pub(super) struct Stream {
    pub(super) events: Events,
    pub(super) honoured: Uris,
}

/// Why there is no stream.
pub(super) enum Failed {
    /// The server said no.
    Refused,
    /// Nobody said anything that makes sense.
    Lost,
}

type Opening = BoxFuture<'static, (Uris, Result<Stream, Failed>)>;

impl<S> Feed<S> {
    pub(super) fn new(
        hub: Hub,
        endpoint: EndpointId,
        (number, changed): (u64, Arc<Notify>),
        service: S,
        terms: Terms,
    ) -> Self {
        Self { hub, endpoint, number, changed, service, terms, backoff: Backoff::default(), own: JoinSet::new() }
    }
}

impl<S> Feed<S>
where
    S: Service<Call, Response = Reply> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    /// Goes on until it is dropped.
    pub async fn run(mut self) {
        loop {
            while self.hub.wanted(&self.endpoint).is_empty() {
                self.changed.notified().await;
            }
            let started = Instant::now();
            let lost = self.follow().await.is_err();
            self.hub.lost(&self.endpoint);
            if started.elapsed() > STEADY {
                self.backoff.reset();
            }
            if lost {
                sleep(self.backoff.next()).await;
            }
        }
    }

    /// Goes on until nothing is wanted any more; fails when the stream is lost or there never was one.
    async fn follow(&mut self) -> Result<(), Failed> {
        let (mut opening, mut current) = (None::<Opening>, None::<Stream>);
        let mut former = None::<(Stream, Instant)>;
        // While there is a stream, one that could not take its place is not tried again before this.
        let mut not_before = Instant::now();
        loop {
            self.welcome();
            let wanted = self.hub.wanted(&self.endpoint);
            if wanted.is_empty() {
                return Ok(());
            }
            let outdated = current.as_ref().is_none_or(|stream| stream.honoured != wanted);
            if opening.is_none() && outdated && Instant::now() >= not_before {
                opening = Some(self.open(wanted));
            }
            let overlap = former.as_ref().map(|(_, end)| *end);
            tokio::select! {
                (asked, opened) = some(&mut opening) => {
                    opening = None;
                    match (opened, &mut current) {
                        (Ok(stream), current) => {
                            self.hub.acknowledged(&self.endpoint, &asked, &stream.honoured);
                            former = current.replace(stream).map(|former| (former, Instant::now() + OVERLAP));
                        }
                        (Err(Failed::Refused), current) => {
                            let none = Uris::new();
                            let honoured = current.as_ref().map_or(&none, |stream| &stream.honoured);
                            self.hub.acknowledged(&self.endpoint, &asked, honoured);
                            not_before = Instant::now() + self.backoff.next();
                        }
                        (Err(Failed::Lost), Some(_)) => not_before = Instant::now() + self.backoff.next(),
                        (Err(failed), None) => return Err(failed),
                    }
                }
                heard = hear(current.as_mut()) => self.take(heard)?,
                heard = hear(former.as_mut().map(|(stream, _)| stream)) => if self.take(heard).is_err() {
                    former = None;
                },
                // Of a URI that somebody wanted until just now the stream tells already.
                // Not while another is on its way in its place, which may leave that URI out.
                () = self.changed.notified() => if let Some(stream) = current.as_ref().filter(|_| opening.is_none()) {
                    self.hub.told(&self.endpoint, &stream.honoured);
                },
                () = sleep_until(not_before), if outdated && opening.is_none() => {}
                () = reached(overlap) => former = None,
            }
        }
    }

    /// Subscribes those who have come in sessions of their own, where the endpoint has such.
    fn welcome(&mut self) {
        while self.own.try_join_next().is_some() {}
        for arrival in self.hub.arrivals(&self.endpoint) {
            self.own.spawn(arrival.keep(self.service.clone()));
        }
    }

    /// Opens a stream for these URIs, up to its acknowledgement.
    fn open(&self, uris: Uris) -> Opening {
        let filter = listen(&uris);
        let call = Call::new(Method::LISTEN, self.terms.params(&[Edit::Set("notifications", &filter)]));
        let service = self.service.clone();
        async move {
            let opened = timeout(ACKNOWLEDGE, acknowledged(service, call, &uris)).await;
            (uris, opened.unwrap_or(Err(Failed::Lost)))
        }
        .boxed()
    }

    fn take(&self, heard: Option<Event>) -> Result<(), Failed> {
        match heard {
            Some(Event::Note(note)) => {
                if note.method == Method::RESOURCES_UPDATED
                    && let Some(uri) = note.params.uri()
                {
                    self.hub.updated(&self.endpoint, &uri);
                }
                Ok(())
            }
            // A question outside of a call has nobody to be asked.
            Some(Event::Ask(_) | Event::Part(_)) => Ok(()),
            Some(Event::Done(_)) | None => Err(Failed::Lost),
        }
    }
}

pub(super) async fn acknowledged<S>(service: S, call: Call, asked: &Uris) -> Result<Stream, Failed>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    let reply = service.oneshot(call).await.map_err(|_| Failed::Lost)?;
    let mut events = reply.into_events();
    loop {
        match events.next().await {
            Some(Ok(Event::Note(note))) if note.method == Method::LISTEN_ACKNOWLEDGED => {
                let honoured = honoured(note.params.member("notifications"), asked);
                return Ok(Stream { events, honoured });
            }
            Some(Ok(Event::Note(_) | Event::Ask(_) | Event::Part(_))) => {}
            Some(Ok(Event::Done(Outcome::Error(_) | Outcome::Accepted))) => return Err(Failed::Refused),
            Some(Ok(Event::Done(_)) | Err(_)) | None => return Err(Failed::Lost),
        }
    }
}

/// The `notifications` that ask for these URIs.
pub(super) fn listen(uris: &Uris) -> Vec<u8> {
    let mut filter = b"{\"resourceSubscriptions\":[".to_vec();
    for (place, uri) in uris.iter().enumerate() {
        if place > 0 {
            filter.push(b',');
        }
        write::string(&mut filter, uri);
    }
    filter.extend_from_slice(b"]}");
    filter
}

/// Which of the URIs an acknowledgement names.
fn honoured(notifications: Option<Json>, asked: &Uris) -> Uris {
    let array = notifications.and_then(|notifications| notifications.member("resourceSubscriptions"));
    let named = array.and_then(|array| array.elements()).into_iter().flatten();
    let read = named.filter_map(|uri| uri.read::<String>().ok());
    read.filter_map(|uri| asked.get(&*uri).cloned()).collect()
}

/// What an opening comes to, while there is one.
async fn some(opening: &mut Option<Opening>) -> (Uris, Result<Stream, Failed>) {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}

/// The next event of a stream, while there is one; `None` if it has failed.
async fn hear(stream: Option<&mut Stream>) -> Option<Event> {
    match stream {
        Some(stream) => stream.events.next().await?.ok(),
        None => std::future::pending().await,
    }
}

async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

impl<S> Drop for Feed<S> {
    fn drop(&mut self) {
        self.hub.detach(&self.endpoint, self.number);
    }
}

impl<S> fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
