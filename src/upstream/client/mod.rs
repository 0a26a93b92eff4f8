//! The HTTP client of one server: a bounded pool of HTTP/1.1 connections that follows no redirect and says of every
//! failure whether the request can have reached the server.

mod connector;
mod events;
mod fault;
mod gather;
mod ramp;

pub(crate) use self::{events::Events, gather::Gather};

use self::{
    connector::Connector,
    fault::{Fault, describe},
};
use super::error::{Closed, Connect, TooLarge};
use crate::{
    BoxError,
    metrics::{Count, Metrics},
    registry::Server,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;

/// How long an idle connection is kept. The servers people run close theirs after 5 s; a request that meets such a
/// closing connection cannot be told from one that was executed, so ours goes first.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections kept: what a burst leaves behind beyond them is closed.
const MAX_IDLE: usize = 128;

/// Requests under way that nobody waits for: as many as calls a gateway has in flight by default, because all of them
/// may be given up at once. What is beyond them is left out.
const MAX_DETACHED: usize = 512;

/// How long a request that nobody waits for may take.
const DETACHED: Duration = Duration::from_secs(5);

/// Headers that describe a connection or a body, and so cannot be the configuration's to set.
const COMPUTED: [header::HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Sends requests to one server, with the headers its configuration adds; clones share the connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    /// An error says why no request can be made at all; it is met at use, so that one server's broken TLS set-up
    /// does not keep the others from starting.
    hyper: Result<legacy::Client<Connector, Full<Bytes>>, String>,
    headers: HeaderMap,
    limit: usize,
    fault: Fault,
    tasks: TaskTracker,
    detached: Arc<Semaphore>,
    metrics: Metrics,
}

impl Client {
    /// A client for `url`'s scheme that adds `headers` to each request.
    pub(crate) fn new(server: &Server, url: &Uri, headers: &HeaderMap) -> Self {
        let settings = server.settings();
        let hyper = Connector::new(url, settings.connect_timeout).map(|connector| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(MAX_IDLE)
                // Repeats only requests that hyper hands back unwritten from a connection the server closed while it
                // was idle; one that was begun is never sent twice.
                .retry_canceled_requests(true)
                .build(connector)
        });
        let mut headers = headers.clone();
        for name in &COMPUTED {
            headers.remove(name);
        }
        Self(Arc::new(Inner {
            hyper,
            headers,
            limit: settings.max_message_bytes,
            fault: Fault::default(),
            tasks: server.tasks().clone(),
            detached: Arc::new(Semaphore::new(MAX_DETACHED)),
            metrics: settings.metrics.clone(),
        }))
    }

    /// A request with the configured headers.
    pub(crate) fn request(&self, method: Method, url: &Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = self.0.headers.clone();
        request
    }

    /// Sends a request and waits for the head of the response, whatever its status.
    ///
    /// # Errors
    ///
    /// [`Connect`] if there was no connection, [`Closed`] if it ended before the head.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, BoxError> {
        let client = self.0.hyper.as_ref().map_err(|why| {
            self.0.fault.set(why.clone());
            Connect(why.clone().into())
        })?;
        match client.request(request).await {
            Ok(response) => {
                self.0.fault.clear();
                Ok(response)
            }
            Err(error) => {
                self.0.fault.set(describe(&error));
                Err(classify(error))
            }
        }
    }

    /// Reads a whole body.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] as soon as it passes the limit, [`Closed`] if it is cut.
    pub(crate) async fn collect(&self, mut body: Incoming) -> Result<Bytes, BoxError> {
        let limit = self.limit();
        let mut gathered = Gather::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Closed { sent: true })?.into_data() else { continue };
            if gathered.len() + data.len() > limit {
                return Err(TooLarge { limit }.into());
            }
            let hint = body.size_hint().lower().min(limit as u64) as usize;
            gathered.push(data, hint);
        }
        Ok(gathered.take(gathered.len()))
    }

    /// Sends a request that nobody waits for, such as a cancellation; may be called from a destructor.
    pub(crate) fn detach(&self, request: Request<Full<Bytes>>) {
        let client = self.clone();
        self.finish(async move {
            if let Ok(response) = client.send(request).await {
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

/// Tells requests that cannot have reached the server from those that may have.
///
/// hyper's HTTP/1 calls a request canceled, and a sender closed, only while the request has not been handed to the
/// connection's writer.
fn classify(error: legacy::Error) -> BoxError {
    if error.is_connect() {
        return Connect(error.into()).into();
    }
    let unsent = crate::error::find::<hyper::Error>(&error).is_some_and(|e| e.is_canceled() || e.is_closed());
    Closed { sent: !unsent }.into()
}
