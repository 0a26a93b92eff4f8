//! Streamable HTTP: every call is a POST of its own, whatever the revision.
//!
//! The response itself says which call it answers, so there is no connection to keep and no table of calls. Its form
//! is the server's choice: one JSON object, or an event stream in which notes come before the outcome. Both become a
//! [`Reply`], whose head is held back until the first message: a stream that holds nothing but the outcome is a single
//! reply, because most servers answer every call in that form.
//!
//! - **Cancelling.** A dropped future or reply closes the response. That is all a modern server needs; an
//!   initialize-era one does not take it as a cancellation (2025-11-25, "transports: Sending Messages"), so it is told
//!   with `notifications/cancelled` as well.
//! - **Cut streams.** An initialize-era server may close a stream it can resume; the reply goes on as if nothing had
//!   happened, for a bounded number of times.
//! - **Headers** repeat the arguments that a modern server's `tools/list` says, unless the client sent its own.
//! - **Questions** that an initialize-era server asks on the stream of a request belong to that request; the answer is
//!   a POST of its own.
//! - **The stream of a session**, a GET, is there once for all who listen, and while calls run whose clients can be
//!   asked. A question that comes down it goes to the only call that a client has in the session; where all calls are of
//!   one client, to the oldest. Otherwise it is refused, because nothing says whose it is. Log messages go the same way.
//! - **Large results** are passed on as they arrive, where the client speaks the server's era and takes
//!   them so ([`Call::in_parts`](crate::call::Parts::in_parts)). What stands before the result is checked before the first part goes, the rest while it
//!   passes; what turns out wrong then breaks the answer off.
//! - **Redirects** are never followed: what the configuration sends to one server is not another one's to see.

mod annotations;
mod answer;
mod body;
mod cancel;
mod document;
mod exchange;
mod header;
mod line;
mod mirror;
mod parts;
mod question;
mod reading;
mod request;
mod response;
mod streamed;

use super::{
    client::Client,
    error::Status,
    hop::{Hop, InSession, OfClient, Outbound, Transport},
};
use crate::{
    BoxError, Call, EndpointId, Method, Reply,
    json::write,
    registry::Server,
    reply::{Note, Outcome},
};
use ::http::{HeaderMap, StatusCode, Uri};
use annotations::Annotations;
use exchange::Exchange;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::broadcast;
use tokio_util::task::TaskTracker;
use tower::Service;

pub(super) use self::line::Line;

/// Notes outside of calls that a listener has not read yet; past them it is told that anything may have changed.
const MAX_UNREAD: usize = 256;

/// A server over Streamable HTTP; clones share its connections.
///
/// Always ready: how many calls may run at once is a limit's affair, not this service's.
///
/// ```
/// use tower::ServiceExt;
/// use tower_mcp_gateway::{Call, Method, Revision, error::never_sent, json::Params, registry::Server};
/// use tower_mcp_gateway::upstream::{Hop, Outbound, http::Http};
///
/// # tokio_test::block_on(async {
/// let url = "http://127.0.0.1:1/mcp";
/// let server = Server::http("files-1", "files", url)?;
/// let http = Http::new(&server, &url.parse()?, &Default::default());
/// let hop = Hop::new(Some(Revision::V2026_07_28), 1).into();
/// let call = Call::new(Method::TOOLS_LIST, Params::empty());
/// let error = http.clone().oneshot(Outbound { call, hop }).await.unwrap_err();
/// assert!(never_sent(&*error) && http.fault().is_some());
/// # Ok::<(), tower_mcp_gateway::BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Http(Arc<Endpoint>);

/// What all calls to the server share.
#[derive(Debug)]
struct Endpoint {
    /// Which server, for the log.
    id: EndpointId,
    client: Client,
    url: Uri,
    /// What every POST begins with.
    opening: Vec<u8>,
    next_id: AtomicU64,
    annotations: Annotations,
    /// What the server says outside of calls, and in which session.
    notes: broadcast::Sender<(usize, Note)>,
    /// Where streams of sessions are read.
    tasks: TaskTracker,
}

impl Http {
    /// The transport to `url`, with `headers` on each request. Connects when there is something to send.
    pub fn new(server: &Server, url: &Uri, headers: &HeaderMap) -> Self {
        let client = Client::new(server, url, headers);
        Self(Arc::new(Endpoint {
            id: server.id().clone(),
            opening: Endpoint::opening(&client, url),
            client,
            url: url.clone(),
            next_id: AtomicU64::new(1),
            annotations: Annotations::default(),
            notes: broadcast::Sender::new(MAX_UNREAD),
            tasks: server.tasks().clone(),
        }))
    }

    /// Tells the server that the session of `hop` will not be used again. Best effort, and nobody waits for it.
    pub fn end_session(&self, hop: &Hop) {
        hop.line.close();
        if hop.session_id().is_some() {
            self.0.client.detach(self.0.delete(hop));
        }
    }

    /// Why the latest request met no answer, in words without an address; `None` after one that did.
    pub fn fault(&self) -> Option<String> {
        self.0.client.fault()
    }
}

impl Service<Outbound> for Http {
    type Response = Reply;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Outbound { call, hop }: Outbound) -> Self::Future {
        let endpoint = self.0.clone();
        if call.method.is_notification() {
            Box::pin(async move { endpoint.notify(&call, &hop).await })
        } else if call.method == Method::LISTEN && !hop.is_modern() {
            let own = call.extensions.get::<InSession>().is_some();
            Box::pin(line::listen(endpoint, hop, own))
        } else if let Some(of) = call.extensions.get::<OfClient>().copied()
            && !hop.is_modern()
            && hop.session_id().is_some()
        {
            Box::pin(line::told(endpoint, call, hop, of))
        } else {
            Box::pin(mirror::Mirrored::begin(endpoint, call, hop))
        }
    }
}

impl Transport for Http {
    /// Always 1: calls are independent of each other.
    fn epoch(&self) -> u64 {
        1
    }

    async fn connected(&self) -> Result<u64, BoxError> {
        Ok(1)
    }

    fn fault(&self) -> Option<String> {
        Http::fault(self)
    }

    fn end_session(&self, hop: &Hop) {
        Http::end_session(self, hop);
    }
}

impl Endpoint {
    async fn notify(&self, call: &Call, hop: &Hop) -> Result<Reply, BoxError> {
        let body = write::notification(&call.method, call.params.as_bytes());
        let response = self.client.send(self.post(hop, Some(call), body)).await?;
        let status = response.status();
        if !status.is_success() {
            return answer::refused(&self.client, response, hop, &call.method).await.map(Reply::single);
        }
        // Nothing is to be said, but some servers say it, and the connection is free once it is read.
        let _ = self.client.collect(response.into_body()).await;
        Ok(Reply::single(Outcome::Accepted))
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// One request, and what answers it.
    fn exchange(self: Arc<Self>, id: u64, call: &Call, hop: Arc<Hop>) -> reading::Replying<Exchange> {
        reading::reply(Exchange::begin(self, id, call, hop))
    }
}

/// The status in place of an answer, as an error.
fn status(status: StatusCode) -> BoxError {
    Status(status).into()
}
