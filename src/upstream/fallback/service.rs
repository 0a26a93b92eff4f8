use crate::{
    BoxError, Call, Reply, Revision,
    error::{find, never_sent},
    json::Json,
    rare::Rare,
    registry::Server,
    upstream::{
        Transport,
        era::{Era, error::HandshakeFailed},
        error::{Refused, Status},
        http::Http,
        sse::Sse,
    },
};
use futures_util::{
    FutureExt, TryFutureExt,
    future::{BoxFuture, Either},
};
use http::{HeaderMap, StatusCode, Uri};
use std::{
    error::Error,
    fmt,
    future::ready,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::Mutex, time::Instant};
use tower::{Service, ServiceExt};

/// A server over Streamable HTTP, or over HTTP+SSE once it has proved to speak that.
///
/// The call that finds out is sent again over HTTP+SSE: its handshake had failed, so it was never sent. A server that
/// refuses `initialize` and serves no event stream either stays what it was, and is asked again by the next call. So is one
/// that took a handshake before and refuses the next, in place of the call that lost its session by that.
///
/// A server whose event stream is gone is now and then asked over Streamable HTTP again, by a call that was not sent: another
/// version of it may be there.
#[derive(Clone)]
pub struct Fallback {
    http: Era<Http>,
    /// What `poll_ready` made ready, if the server has proved to be of that kind, and which of them it is.
    sse: Option<(Arc<Era<Sse>>, Era<Sse>)>,
    found: Arc<Found>,
}

/// What the clones share.
struct Found {
    server: Server,
    url: Uri,
    headers: HeaderMap,
    sse: Rare<Era<Sse>>,
    /// Searches for an event stream so far. Of calls that are refused together, one searches for all.
    searches: AtomicU64,
    searching: Mutex<()>,
    /// When it was asked over HTTP again.
    asked_again: std::sync::Mutex<Option<Instant>>,
}

/// How often a server whose event stream is gone is asked over Streamable HTTP: seldom enough that one which is merely down
/// is not asked twice for each call, and within the five seconds in which one that is back should be found.
const ASK_AGAIN: Duration = Duration::from_secs(2);

impl Fallback {
    /// Begins with Streamable HTTP at `url`, with `headers` on each request.
    pub fn new(server: &Server, url: &Uri, headers: &HeaderMap) -> Self {
        let http = Era::new(Http::new(server, url, headers), server);
        let found = Found {
            server: server.clone(),
            url: url.clone(),
            headers: headers.clone(),
            sse: Rare::default(),
            searches: AtomicU64::new(0),
            searching: Mutex::new(()),
            asked_again: std::sync::Mutex::default(),
        };
        Self { http, sse: None, found: Arc::new(found) }
    }

    /// Whether the server has proved to speak HTTP+SSE.
    pub fn is_sse(&self) -> bool {
        self.found.sse.get().is_some()
    }

    /// The revision the latest handshake agreed on; `None` before the first.
    pub fn revision(&self) -> Option<Revision> {
        self.found.sse.get().map_or_else(|| self.http.revision(), |sse| sse.revision())
    }

    /// Name and version of the server, as it says itself; for display only.
    pub fn server_info(&self) -> Option<Json> {
        self.found.sse.get().map_or_else(|| self.http.server_info(), |sse| sse.server_info())
    }

    /// Why the latest attempt to reach the server failed, in words without an address; `None` while all is well.
    pub fn fault(&self) -> Option<String> {
        match self.found.sse.get() {
            Some(sse) => sse.get_ref().fault().or_else(|| sse.fault()),
            None => self.http.get_ref().fault().or_else(|| self.http.fault()),
        }
    }
}

impl Service<Call> for Fallback {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let present = self.found.sse.get();
        if self.sse.as_ref().map(|(of, _)| Arc::as_ptr(of)) != present.as_ref().map(Arc::as_ptr) {
            self.sse = present.as_ref().map(|sse| (sse.clone(), Era::clone(sse)));
        }
        match &mut self.sse {
            Some((_, sse)) => sse.poll_ready(cx),
            None => self.http.poll_ready(cx),
        }
    }

    fn call(&mut self, call: Call) -> Self::Future {
        if let Some((_, sse)) = &mut self.sse {
            let over_sse = sse.call(call.clone());
            let (found, http) = (self.found.clone(), self.http.clone());
            return Box::pin(over_sse.or_else(move |error| match never_sent(&*error) {
                true => Either::Right(found.over_http(http, call, error).boxed()),
                false => Either::Left(ready(Err(error))),
            }));
        }
        let call = match self.http.direct(call) {
            Ok(over_http) => return Box::pin(over_http),
            Err(call) => call,
        };
        let found = self.found.clone();
        let searches = found.searches.load(Ordering::Acquire);
        let over_http = self.http.driven(call.clone());
        Box::pin(over_http.or_else(move |error| match is_refusal(&*error) {
            true => Either::Right(found.over_sse(call, error, searches).boxed()),
            false => Either::Left(ready(Err(error))),
        }))
    }
}

/// Whether the server refused `initialize` in a way that servers of the older transport do.
fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    const OLDER: [StatusCode; 3] = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
    let status = find::<Status>(error).is_some_and(|Status(status)| OLDER.contains(status));
    find::<HandshakeFailed>(error).is_some() && (status || find::<Refused>(error).is_some())
}

impl Found {
    /// Makes a call that was refused over HTTP with `error`.
    async fn over_sse(self: Arc<Self>, call: Call, error: BoxError, before: u64) -> Result<Reply, BoxError> {
        match self.search(before).await {
            Some(sse) => Era::clone(&sse).oneshot(call).await,
            None => Err(error),
        }
    }

    /// Makes a call that could not be sent over HTTP+SSE, with `error`, if the server takes it over HTTP now.
    async fn over_http(self: Arc<Self>, http: Era<Http>, call: Call, error: BoxError) -> Result<Reply, BoxError> {
        if !self.may_ask_again() {
            return Err(error);
        }
        let answer = http.oneshot(call).await;
        let is_none = |error: &BoxError| never_sent(&**error) || find::<HandshakeFailed>(&**error).is_some();
        if answer.as_ref().is_err_and(is_none) {
            return Err(error);
        }
        tracing::info!(server = %self.server.id(), "the server speaks Streamable HTTP now");
        self.sse.clear();
        answer
    }

    /// Whether it is time to ask over HTTP; for one call at a time.
    fn may_ask_again(&self) -> bool {
        let mut asked = self.asked_again.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN);
        if is_time {
            *asked = Some(Instant::now());
        }
        is_time
    }

    /// The server over HTTP+SSE, if that is what it speaks; `before` is how often was searched before the call.
    async fn search(&self, before: u64) -> Option<Arc<Era<Sse>>> {
        let _searching = self.searching.lock().await;
        if self.sse.get().is_none() && self.searches.load(Ordering::Acquire) == before {
            let sse = Sse::new(&self.server, &self.url, &self.headers);
            let is_there = sse.connected().await.is_ok();
            self.searches.fetch_add(1, Ordering::Release);
            if is_there {
                tracing::info!(server = %self.server.id(), "the server speaks HTTP+SSE; its entry says http");
                self.sse.set(Arc::new(Era::initialize_only(sse, &self.server)));
            }
        }
        self.sse.get()
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("sse", &self.is_sse()).field("http", &self.http).finish()
    }
}
