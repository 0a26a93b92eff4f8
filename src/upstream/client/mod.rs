//! The HTTP client of one server: a bounded pool of HTTP/1.1 connections that follows no redirect and says of every
//! failure whether the request can have reached the server.
//!
//! A connection belongs to the call that uses it, which writes its request and reads the answer itself: no task stands
//! between a call and its socket, so an answer costs one wake-up, and dropping the answer closes the connection.

mod body;
mod connection;
mod connector;
mod events;
mod fault;
mod gather;
mod head;
#[cfg(feature = "tls")]
mod pinned;
mod pool;
mod ramp;
mod repeated;
mod request;
mod response;
mod sending;
mod stream;

#[cfg(feature = "http")]
pub(crate) use self::sending::Sending;
pub(crate) use self::{
    body::Body,
    connector::Connector,
    events::{Begun, Events},
    gather::Gather,
    request::Request,
    response::Response,
};

use self::{
    connection::{Broken, Connection},
    fault::Fault,
    pool::Pool,
};
use super::error::{Closed, Connect, Protocol};
use crate::{
    BoxError,
    header::COMPUTED,
    metrics::{Count, Metrics},
    oauth::Tokens,
    registry::Server,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
#[cfg(feature = "http")]
use http::{HeaderName, HeaderValue};
use std::{fmt, future::poll_fn, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Requests under way that nobody waits for: as many as calls a gateway has in flight by default, because all of them
/// may be given up at once. What is beyond them is left out.
const MAX_DETACHED: usize = 512;

/// How long a request that nobody waits for may take.
const DETACHED: Duration = Duration::from_secs(5);

/// Sends requests to one server, with the headers its configuration adds; clones share the connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    /// An error says why no request can be made at all; it is met at use, so that one server's broken TLS set-up
    /// does not keep the others from starting.
    connector: Result<Connector, String>,
    /// Where connections lead; the path is a request's own.
    url: Uri,
    /// The configured headers, as they are written.
    fields: Vec<u8>,
    pool: Arc<Pool>,
    limit: usize,
    fault: Fault,
    tasks: TaskTracker,
    detached: Arc<Semaphore>,
    metrics: Metrics,
    /// Of a server at which somebody signs in.
    tokens: Option<Tokens>,
}

impl Client {
    /// A client for `url`'s scheme, host and port that adds `headers` to each request.
    pub(crate) fn new(server: &Server, url: &Uri, headers: &HeaderMap) -> Self {
        let settings = server.settings();
        let mut headers = headers.clone();
        for name in &COMPUTED {
            headers.remove(name);
        }
        if server.oauth_of().is_some() {
            // Whoever signed in is who is let in.
            headers.remove(header::AUTHORIZATION);
        }
        Self(Arc::new(Inner {
            connector: Connector::new(url, settings.connect_timeout, server.pinned_of()),
            url: url.clone(),
            fields: request::fields(url, &headers),
            pool: Arc::default(),
            limit: settings.max_message_bytes,
            fault: Fault::default(),
            tasks: server.tasks().clone(),
            detached: Arc::new(Semaphore::new(MAX_DETACHED)),
            metrics: settings.metrics.clone(),
            tokens: server
                .oauth_of()
                .map(|oauth| Tokens::new(oauth, server.id().as_str(), &url.to_string(), server.tasks().clone())),
        }))
    }

    /// A request with the configured headers to `url`, which differs from the client's in its path at most.
    pub(crate) fn request(&self, method: &Method, url: &Uri, body: Bytes) -> Request {
        debug_assert_eq!((url.scheme(), url.authority()), (self.0.url.scheme(), self.0.url.authority()));
        let length = (*method != Method::GET).then_some(body.len());
        let mut request = Request::begin(&request::opening(method, url, &self.0.fields), length);
        request.body(body);
        request
    }

    /// What requests to `url` begin with that carry `headers`, too: written once, for [`begin`](Self::begin).
    #[cfg(feature = "http")]
    pub(crate) fn opening(&self, method: &Method, url: &Uri, headers: &[(HeaderName, HeaderValue)]) -> Vec<u8> {
        let mut opening = request::opening(method, url, &self.0.fields);
        headers.iter().for_each(|(name, value)| request::field(&mut opening, name, value.as_bytes()));
        opening
    }

    /// A request that begins so, whose body of so many bytes is still to be given.
    #[cfg(feature = "http")]
    pub(crate) fn begin(&self, opening: &[u8], length: usize) -> Request {
        Request::begin(opening, Some(length))
    }

    /// Sends a request and waits for the head of the response, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Connect`] if there was no connection, or nobody is signed in at a server that wants that; [`Closed`] if it ended
    /// before the head; [`Protocol`] if what came is no HTTP.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, BoxError> {
        let mut sending = self.begin_sending(request);
        poll_fn(|cx| sending.poll(self, cx)).await
    }

    async fn connect(&self) -> Result<Box<Connection>, BoxError> {
        let inner = &*self.0;
        let failed = |why: String| {
            inner.fault.set(why.clone());
            why
        };
        let connector = inner.connector.as_ref().map_err(|why| Connect(failed(why.clone()).into()))?;
        match connector.clone().oneshot(inner.url.clone()).await {
            Ok(stream) => Ok(Box::new(Connection::new(stream))),
            Err(error) => {
                let why = fault::describe(&*error);
                tracing::debug!(error = %crate::error::causes(&*error), "no connection: {why}");
                Err(Connect(failed(why.to_owned()).into()).into())
            }
        }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](super::error::TooLarge) as soon as it passes the limit, [`Closed`] if it is cut.
    pub(crate) async fn collect(&self, mut body: Body) -> Result<Bytes, BoxError> {
        body.whole(self.limit()).await
    }

    /// Sends a request that nobody waits for, such as a cancellation; may be called from a destructor.
    pub(crate) fn detach(&self, request: Request) {
        self.detach_then(request, || {});
    }

    /// The same, and says when it was answered.
    pub(crate) fn detach_then(&self, request: Request, answered: impl FnOnce() + Send + 'static) {
        let client = self.clone();
        self.finish(async move {
            if let Ok(response) = client.send(request).await {
                answered();
                // Read to its end, so that the connection can be used again.
                let _ = client.collect(response.into_body()).await;
            }
        });
    }

    /// Runs an exchange to its end without anyone waiting, under a deadline. It is left out when too many are under
    /// way, and outside of a runtime.
    pub(crate) fn finish(&self, exchange: impl Future<Output: Send> + Send + 'static) {
        let permit = self.0.detached.clone().try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            self.count(Count::Message);
            tracing::debug!("a message to a server was left out: too many are under way");
            return;
        };
        let exchange = async move {
            exchange.await;
            drop(permit);
        };
        self.0.tasks.spawn_on(tokio::time::timeout(DETACHED, exchange), &runtime);
    }

    /// Counts something for the whole gateway.
    pub(crate) fn count(&self, what: Count) {
        self.0.metrics.count(what);
    }

    /// The largest message, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    /// Why the latest request met no answer, in words without an address; `None` after one that did.
    pub(crate) fn fault(&self) -> Option<String> {
        self.0.fault.get()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("fault", &self.fault()).finish_non_exhaustive()
    }
}

impl Broken {
    /// The failure in words of our own.
    fn describe(&self) -> &'static str {
        match self {
            Broken::Unsent(error) | Broken::Io(error) => fault::describe(error),
            Broken::Ended => "the connection was closed",
            Broken::NotHttp(head::NotHttp(why)) => why,
        }
    }
}

impl From<Broken> for BoxError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unsent(_) => Closed { sent: false }.into(),
            Broken::Io(_) | Broken::Ended => Closed { sent: true }.into(),
            Broken::NotHttp(head::NotHttp(why)) => Protocol(why.into()).into(),
        }
    }
}
