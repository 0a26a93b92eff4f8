//! HTTP+SSE of revision 2024-11-05: one event stream down, a POST for each message up.
//!
//! The stream *is* the session: answers, progress and questions of all calls come down it in one line, and
//! [`Mux`] tells them apart. A driver in the server's [tasks](crate::registry::Server::tasks) opens
//! the stream, waits for the `endpoint` event that says where to POST, and begins anew when the stream is lost. Each
//! stream is a connection of its own number, and the server behind it remembers nothing of the one before.
//!
//! # Where the stream is
//!
//! The address may be the stream's, or a base whose `/sse` it is: some servers answer the base with a page or a
//! status. Whichever served a stream is looked at first from then on. The POST address must have the stream's origin; a server could send
//! the calls, and the configured credentials with them, anywhere otherwise.
//!
//! # While there is no connection
//!
//! A call waits for the attempt that it causes, at most as long as a connection may take, and then fails as never
//! sent: a sibling can take it within milliseconds. Attempts go on without calls, at most 2.4 s apart.

mod driver;
mod incoming;
mod post;
mod resolve;

use super::{
    client::Client,
    error::{Connect, Replaced},
    hop::{Outbound, Transport},
    mux::Mux,
};
use crate::{BoxError, EndpointId, Method, Reply, registry::Server, reply::Outcome};
use ::http::{HeaderMap, Uri};
use driver::Driver;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::Service;

/// A server over HTTP+SSE; clones share its stream, which is closed when the last one and the last reply are gone.
///
/// Always ready: how many calls may run at once is a limit's affair, not this service's.
#[derive(Clone)]
pub struct Sse {
    channel: Arc<Channel>,
    /// Ends the driver.
    alive: Arc<DropGuard>,
}

/// What service and driver share.
struct Channel {
    server: EndpointId,
    client: Client,
    mux: Mux,
    state: watch::Sender<State>,
    /// A call waits for a connection.
    demand: Notify,
    connect_timeout: Duration,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    /// Attempts that came to nothing so far.
    failures: u64,
    fault: Option<String>,
}

/// A connection: the number of its stream, and where to POST.
#[derive(Clone, Debug)]
struct Link {
    epoch: u64,
    endpoint: Uri,
}

impl Sse {
    /// The transport to the stream at `url`, or at its `/sse`, with `headers` on each request. Begins to connect at
    /// once.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(server: &Server, url: &Uri, headers: &HeaderMap) -> Self {
        let channel = Arc::new(Channel {
            server: server.id().clone(),
            client: Client::new(server, url, headers),
            // Each message is a POST of its own, which may overtake another.
            mux: Mux::counting(server.settings().metrics.clone()).of(server.id()).pure().unordered(),
            state: watch::Sender::default(),
            demand: Notify::new(),
            connect_timeout: server.settings().connect_timeout,
        });
        let stop = CancellationToken::new();
        let driver = Driver::new(channel.clone(), url, server.settings().era_timeout);
        server.tasks().spawn(driver.run(stop.clone()));
        Self { channel, alive: Arc::new(stop.drop_guard()) }
    }

    /// Why there is no connection, in words without an address; `None` while there is one.
    pub fn fault(&self) -> Option<String> {
        self.channel.state.borrow().fault.clone()
    }

    async fn exchange(self, outbound: Outbound) -> Result<Reply, BoxError> {
        let (channel, call) = (&self.channel, &outbound.call);
        let link = channel.link().await?;
        if link.epoch != outbound.hop.epoch {
            return Err(Replaced.into());
        }
        if call.method == Method::LISTEN {
            return channel.mux.listen(&outbound.hop);
        }
        if call.method.is_notification() {
            let frame = channel.mux.notification(&outbound)?;
            channel.post(&link, &outbound.hop, frame).await?.accepted(channel)?;
            return Ok(Reply::single(Outcome::Accepted));
        }
        let reply = channel.ask(&link, &outbound).await?;
        // Calls in flight outlive the service, so that a server can be taken away without cutting them.
        Ok(reply.hold(self.alive.clone()))
    }
}

impl Service<Outbound> for Sse {
    type Response = Reply;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, outbound: Outbound) -> Self::Future {
        Box::pin(self.clone().exchange(outbound))
    }
}

impl Transport for Sse {
    fn epoch(&self) -> u64 {
        self.channel.mux.epoch()
    }

    async fn connected(&self) -> Result<u64, BoxError> {
        Ok(self.channel.link().await?.epoch)
    }

    fn fault(&self) -> Option<String> {
        Sse::fault(self)
    }
}

impl Channel {
    /// Waits for a connection: until there is one, an attempt fails, or it takes too long.
    async fn link(&self) -> Result<Link, BoxError> {
        let mut state = self.state.subscribe();
        let before = {
            let state = state.borrow();
            if let Some(link) = &state.link {
                return Ok(link.clone());
            }
            state.failures
        };
        self.demand.notify_one();
        let decided = state.wait_for(|state| state.link.is_some() || state.failures != before);
        let link = match tokio::time::timeout(self.connect_timeout, decided).await {
            Ok(Ok(state)) => state.link.clone().ok_or_else(|| state.fault.clone()),
            Ok(Err(_)) => Err(Some("the connection was closed".to_owned())),
            Err(_) => Err(self.state.borrow().fault.clone()),
        };
        let unknown = || "no connection was made in time".to_owned();
        link.map_err(|fault| Connect(fault.unwrap_or_else(unknown).into()).into())
    }

    /// A stream is open: calls can be sent under the number that is returned.
    fn established(&self, endpoint: Uri) -> u64 {
        let mut epoch = 0;
        self.state.send_modify(|state| {
            epoch = self.mux.connect();
            state.fault = None;
            state.link = Some(Link { epoch, endpoint });
        });
        epoch
    }

    /// An attempt came to nothing.
    fn failed(&self, fault: String) {
        self.state.send_modify(|state| {
            state.failures += 1;
            state.fault = Some(fault);
        });
    }

    /// Ends connection `epoch`, if it is still the present one, and with it all calls in flight.
    fn lost(&self, epoch: u64) {
        self.state.send_if_modified(|state| {
            let present = state.link.take_if(|link| link.epoch == epoch).is_some();
            if present {
                self.mux.fail_all();
                state.fault = Some("the event stream was cut".to_owned());
            }
            present
        });
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").field("mux", &self.channel.mux).field("fault", &self.fault()).finish_non_exhaustive()
    }
}
