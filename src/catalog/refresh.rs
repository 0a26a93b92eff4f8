use super::{
    Kind, Listing, Terms, fetch,
    listen::{Ear, Heard},
};
use crate::{BoxError, Call, EndpointId, Reply};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};
use tower::Service;
use tracing::Instrument;

/// How long the first listing waits for the server's promise to tell of changes. Listed before the promise, a change
/// between the two would stay unseen; but a server that never answers must not stay unlisted.
const LISTEN_PATIENCE: Duration = Duration::from_secs(1);
/// The shortest time between two listings of an endpoint, however often it says that it changed.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// When an endpoint that tells of no changes is listed again.
const SLOW_INTERVAL: Duration = Duration::from_secs(300);
/// A stream that lived longer than this was no failure, so the pause before the next one is short again.
const STEADY: Duration = Duration::from_secs(10);
/// The first pause after a failure or a lost stream; it doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_secs(1);
/// The longest pause after a failure. An endpoint that recovers is woken before that, if someone watches its health.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// What an endpoint offers, or why that is not known at present.
#[derive(Debug)]
pub struct Update {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// All that it offers; a failure leaves standing what it offered before.
    pub result: Result<Arc<Listing>, BoxError>,
    /// The lists of which it said that they changed, since the last update without a failure.
    pub told: Vec<Kind>,
}

/// Keeps the listing of one endpoint up to date: a future that ends when nobody takes its updates any more.
///
/// It lists the endpoint, follows `subscriptions/listen` and lists it again on every change, at most once a second.
/// When that stream ends, it is opened again after a pause, and the lists count as changed; an endpoint that refuses
/// it, or tells of none of its lists, is listed every five minutes. A failure is told too, then tried again with growing
/// pauses. All pauses have jitter, so that a thousand gateways do not ask one server in step.
///
/// ```
/// use std::sync::Arc;
/// use tokio::sync::{Notify, mpsc};
/// use tower_mcp_gateway::{BoxError, Call, Reply, catalog::{Kind, Refresh}, json::Json, reply::Outcome};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let server = tower::service_fn(|call: Call| async move {
///     Ok::<Reply, BoxError>(match call.method.as_str() {
///         "server/discover" => Outcome::Result(Json::from_static(r#"{"capabilities":{"tools":{}}}"#)).into(),
///         "tools/list" => Outcome::Result(Json::from_static(r#"{"tools":[{"name":"search"}]}"#)).into(),
///         _ => Outcome::Error(Json::from_static(r#"{"code":-32601,"message":"no such method"}"#)).into(),
///     })
/// });
/// let (updates, mut arriving) = mpsc::channel(16);
/// let recovered = Arc::new(Notify::new());
/// tokio::spawn(Refresh::new("search-1", server, updates).wake(recovered).run());
/// let listing = arriving.recv().await.unwrap().result.unwrap();
/// assert_eq!(&*listing.list(Kind::Tools).items[0].key, "search");
/// # }
/// ```
#[must_use = "nothing is listed unless it is run"]
pub struct Refresh<S> {
    endpoint: EndpointId,
    service: S,
    terms: Terms,
    updates: mpsc::Sender<Update>,
    wake: Arc<Notify>,
    last: Option<Arc<Listing>>,
    /// What is to be told with the next listing.
    told: Vec<Kind>,
    listed_at: Instant,
    backoff: Duration,
}

/// Why following an endpoint stopped.
enum Stopped {
    /// Nobody takes updates.
    Unwanted,
    /// The stream ended.
    Ended,
    /// The endpoint could not be listed.
    Failed,
    /// Somebody knows better.
    Woken,
}

impl<S> Refresh<S>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    /// Lists `service`, which is `endpoint`, and sends what it finds to `updates`.
    pub fn new(endpoint: impl Into<EndpointId>, service: S, updates: mpsc::Sender<Update>) -> Self {
        Self {
            endpoint: endpoint.into(),
            service,
            terms: Terms::default(),
            updates,
            wake: Arc::new(Notify::new()),
            last: None,
            told: Vec::new(),
            listed_at: Instant::now(),
            backoff: MIN_BACKOFF,
        }
    }

    /// On these terms.
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// Listens and lists anew whenever `wake` is [notified](Notify::notify_one), pauses included: the endpoint
    /// recovered, or somebody wants to know.
    pub fn wake(mut self, wake: Arc<Notify>) -> Self {
        self.wake = wake;
        self
    }

    /// Goes on until the receiver of the updates is gone.
    pub async fn run(mut self) {
        loop {
            let started = Instant::now();
            let stopped = self.follow().await;
            let woken = matches!(stopped, Stopped::Woken);
            if woken || matches!(stopped, Stopped::Ended) && started.elapsed() > STEADY {
                self.backoff = MIN_BACKOFF;
            }
            if matches!(stopped, Stopped::Unwanted) {
                return;
            }
            let (wake, earliest) = (self.wake.clone(), self.listed_at + MIN_INTERVAL);
            let until = if woken { earliest } else { earliest.max(Instant::now() + self.pause()) };
            let awaken = async {
                sleep_until(earliest).await;
                wake.notified().await;
            };
            tokio::select! {
                () = sleep_until(until) => {}
                () = awaken, if !woken => self.backoff = MIN_BACKOFF,
                () = self.updates.closed() => return,
            }
        }
    }

    /// How long to wait this time; the next time longer.
    fn pause(&mut self) -> Duration {
        let pause = jittered(self.backoff);
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        pause
    }

    async fn follow(&mut self) -> Stopped {
        let mut ear = Ear::open(self.service.clone(), &self.terms);
        let mut heard = timeout(LISTEN_PATIENCE, ear.hear()).await.ok();
        let mut due = match self.list().await {
            Ok(due) => due,
            Err(stopped) => return stopped,
        };
        let (wake, mut tells) = (self.wake.clone(), true);
        loop {
            match heard.take() {
                Some(Heard::Ended) => return Stopped::Ended,
                Some(Heard::Refused | Heard::Silent) => tells = false,
                Some(Heard::Changed(kind)) => self.remember(kind),
                Some(Heard::Acknowledged) | None => {}
            }
            if !tells {
                due = due.or_else(|| Some(Instant::now() + jittered(SLOW_INTERVAL)));
            }
            tokio::select! {
                news = ear.hear() => {
                    heard = Some(news);
                    if matches!(news, Heard::Changed(_) | Heard::Acknowledged) {
                        due = Some(self.soon(due));
                    }
                }
                // The stream is opened anew as well: it may have died without a word when the endpoint did.
                () = wake.notified() => return Stopped::Woken,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = match self.list().await {
                        Ok(due) => due,
                        Err(stopped) => return stopped,
                    };
                }
                () = self.updates.closed() => return Stopped::Unwanted,
            }
        }
    }

    fn remember(&mut self, kind: Kind) {
        if !self.told.contains(&kind) {
            self.told.push(kind);
        }
    }

    /// When a change that was just told is looked at.
    fn soon(&self, due: Option<Instant>) -> Instant {
        let earliest = Instant::now().max(self.listed_at + MIN_INTERVAL);
        due.map_or(earliest, |due| due.min(earliest))
    }

    /// Lists once and tells the result; says when to list again if a part of it could not be had.
    async fn list(&mut self) -> Result<Option<Instant>, Stopped> {
        // Taken before the lists: a change told from here on may not be in them.
        self.listed_at = Instant::now();
        let span = tracing::warn_span!("list", server = %self.endpoint);
        let fetched = fetch(self.service.clone(), &self.terms, self.last.as_deref()).instrument(span);
        let result = fetched.await.map(Arc::new);
        let stale = result.as_ref().map(|listing| !listing.stale.is_empty());
        let stale = stale.map_err(|_| Stopped::Failed);
        if let Ok(listing) = &result {
            self.last = Some(listing.clone());
        }
        let told = if result.is_ok() { std::mem::take(&mut self.told) } else { Vec::new() };
        let update = Update { endpoint: self.endpoint.clone(), result, told };
        self.updates.send(update).await.map_err(|_| Stopped::Unwanted)?;
        Ok(stale?.then(|| Instant::now() + self.pause()))
    }
}

/// Between nine and eleven tenths.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}

impl<S> fmt::Debug for Refresh<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
