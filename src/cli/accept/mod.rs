//! A listener that serves any tower service over HTTP/1.1, and with [`tls`] over HTTP/2 too, with deadlines for clients that dawdle and an end that
//! waits for the answers in flight.
//!
//! `axum::serve` bounds neither a slow request head nor an idle connection, and a gateway stands before clients nobody
//! vetted: whoever opens connections and says nothing would hold them, and their descriptors, for ever.

mod accepted;
mod http1;
mod http2;
mod incoming;
mod service;
mod signal;
mod socket;
mod tasks;
pub mod tls;
mod workers;

pub use self::{incoming::Incoming, service::HttpService, workers::Workers};

use self::{accepted::Accepted, http1::Http1, signal::Signal, tasks::Tasks, tls::Tls, workers::Place};
use crate::metrics::Metrics;
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// Pause after the system had no descriptor or no memory for a connection. Trying again at once would take the time
/// from the connections whose end frees one.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Accepts connections and serves them.
///
/// ```
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tokio::net::TcpListener;
/// use tower::service_fn;
/// use tower_mcp_gateway::cli::accept::Accept;
///
/// # tokio_test::block_on(async {
/// let service = service_fn(|_: Request<_>| async { Ok::<_, Infallible>(Response::new(String::from("hello"))) });
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let stop = async { /* a signal, most likely */ };
/// Accept::new(listener).serve(service, stop).await;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Accept {
    listener: TcpListener,
    limits: Limits,
    grace: Duration,
    metrics: Metrics,
    workers: Option<Arc<Workers>>,
    tls: Option<Tls>,
}

/// The largest request head, in bytes: room for tokens and cookies of every kind, and thousands of them fit in memory.
const MAX_HEAD: usize = 64 << 10;
/// What is read ahead of the service, in bytes.
const MAX_BUFFER: usize = 128 << 10;

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
struct Limits {
    head: Duration,
    idle: Duration,
    stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: Accept::HEAD, idle: Accept::IDLE, stall: Accept::STALL }
    }
}

impl Accept {
    /// How long a request head may take: 10 s, which a phone in a tunnel needs and no other client does.
    pub const HEAD: Duration = Duration::from_secs(10);
    /// How long a connection is kept without a request: 60 s, as most clients and proxies keep theirs.
    pub const IDLE: Duration = Duration::from_secs(60);
    /// How long a client may read nothing while there is something to read: 30 s.
    pub const STALL: Duration = Duration::from_secs(30);

    /// Serves the connections of `listener`: 10 s for a request head, 60 s of idleness, 30 s for a client to go on
    /// reading, 30 s for the end.
    ///
    /// Heads that HTTP servers do not all read alike are answered 400 and the connection ends: no `Host` or several,
    /// `Content-Length` beside `Transfer-Encoding`, lines that end in LF alone and such. A head above 64 KiB is
    /// answered 431.
    pub fn new(listener: TcpListener) -> Self {
        let limits = Limits::default();
        Self { listener, limits, grace: Duration::from_secs(30), metrics: Metrics::default(), workers: None, tls: None }
    }

    /// Sets how long a client may take to send a request head, from its first byte (or from the connection's
    /// beginning) to the last, however steadily the bytes drip.
    #[must_use]
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.limits.head = limit;
        self
    }

    /// Sets how long a connection is kept after an answer without the next request.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle = limit;
        self
    }

    /// Sets how long a client may read nothing of an answer before its connection is cut, and the call with it where its
    /// revision says so. Until then the call waits: nothing more is taken from its server than fits in the buffers
    /// between.
    ///
    /// On Linux a connection ends after twice this time as well if the client's machine confirms nothing of what was sent:
    /// it is gone, and its system could not say so.
    #[must_use]
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.limits.stall = limit;
        self
    }

    /// Serves each connection on one of `workers` rather than on the runtime that accepts it.
    #[must_use]
    pub fn workers(mut self, workers: Arc<Workers>) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Serves over TLS alone, HTTP/2 and HTTP/1.1. The handshake is part of the time for the first request head, and happens
    /// beside the accepting, so that a client that stalls in it delays nobody. Who speaks plain HTTP is told so.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Counts the clients that are cut, and the requests that are no HTTP.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sets how long answers in flight may go on after the end began, before their connections are cut.
    #[must_use]
    pub fn grace(mut self, limit: Duration) -> Self {
        self.grace = limit;
        self
    }

    /// Serves until `stop` ends, then closes the listener, lets the answers in flight finish, closes idle
    /// connections, and returns when none is left.
    ///
    /// Each connection of HTTP/1.1 has one copy of `service`, and calls it for one request after the other.
    ///
    /// Nothing that goes wrong on a connection ends the loop. Out of descriptors, it pauses and tries again while the
    /// open connections go on. Dropping the future stops accepting and leaves the open connections to themselves.
    pub async fn serve(self, service: impl HttpService, stop: impl Future<Output = ()>) {
        let Self { listener, limits, grace, metrics, workers, tls } = self;
        let tasks = Tasks::new(metrics);
        tokio::pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = next(&listener) => accepted,
            };
            tracing::debug!(%peer, "connection accepted");
            let place = workers.as_ref().map(|workers| workers.next());
            let accepted = Accepted { peer, tls: tls.clone(), limits, place };
            accepted.spawn(stream, service.clone(), tasks.clone());
        }
        drop(listener);
        tasks.end(grace).await;
    }
}

/// Serves one connection of HTTP/1.1 that something else has accepted: at a Unix socket, through a tunnel, in memory. It is read
/// and answered as one of [`Accept::new`] is, to its end.
///
/// Dropping the future cuts the connection, and drops what it waits for.
///
/// ```
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tower::service_fn;
/// use tower_mcp_gateway::cli::accept;
///
/// # tokio_test::block_on(async {
/// let service = service_fn(|_: Request<_>| async { Ok::<_, Infallible>(Response::new(String::from("hello"))) });
/// let (mut client, server) = tokio::io::duplex(1 << 10);
/// let serving = tokio::spawn(accept::connection(server, service));
/// client.write_all(b"GET / HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"));
/// serving.await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub fn connection<T, S>(stream: T, service: S) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService,
{
    let mut connection = Http1::new(stream, service, Limits::default(), Instant::now(), &Signal::default(), None);
    async move {
        connection.serve(&Metrics::default()).await;
    }
}

/// The next connection; errors are waited out, and told once however often they repeat.
async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended before it was accepted");
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "no connection can be accepted; trying again until one can");
                }
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection that was about to be accepted is concerned, and the next may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
