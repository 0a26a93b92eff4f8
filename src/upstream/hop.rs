use crate::{BoxError, Call, Method, Reply, Revision};
use http::HeaderValue;
use std::{
    future::Future,
    sync::{Arc, OnceLock},
};
use tower::Service;

/// What one hop to a server has agreed on: the result of a handshake, shared by the calls made under it.
///
/// [`Era`](super::era::Era) makes it and transports read it. It is the only place where a session id of a server lives.
///
/// ```
/// use http::HeaderValue;
/// use tower_mcp_gateway::{Revision, upstream::Hop};
///
/// let hop = Hop::new(Some(Revision::V2025_11_25), 1);
/// hop.set_session_id(HeaderValue::from_static("first"));
/// hop.set_session_id(HeaderValue::from_static("second"));
/// assert_eq!(hop.session_id().unwrap(), "first");
/// assert!(!hop.is_modern());
/// ```
#[derive(Debug)]
pub struct Hop {
    /// The revision spoken; `None` while it is not known, for `initialize` itself.
    pub revision: Option<Revision>,
    /// The connection this hop was made on; a transport refuses calls of an older one with
    /// [`Replaced`](super::error::Replaced), because the server behind the new one knows nothing of it.
    pub epoch: u64,
    session_id: OnceLock<HeaderValue>,
    /// The session's stream of what the server says outside of calls; it ends with the last reference to the hop.
    #[cfg(feature = "http")]
    pub(super) line: super::http::Line,
}

impl Hop {
    /// A hop on connection `epoch`.
    pub fn new(revision: Option<Revision>, epoch: u64) -> Self {
        Self {
            revision,
            epoch,
            session_id: OnceLock::new(),
            #[cfg(feature = "http")]
            line: super::http::Line::default(),
        }
    }

    /// Whether requests of this hop are self-contained.
    pub fn is_modern(&self) -> bool {
        self.revision.is_some_and(Revision::is_modern)
    }

    /// The session id the server gave out with its answer to `initialize`.
    pub fn session_id(&self) -> Option<&HeaderValue> {
        self.session_id.get()
    }

    /// Keeps the session id of the server's answer to `initialize`; later ones are ignored.
    pub fn set_session_id(&self, id: HeaderValue) {
        let _ = self.session_id.set(id);
    }

    /// Completes when the session is [lost](Self::lose); never where a session ends with its connection.
    pub(super) async fn lost(&self) {
        #[cfg(feature = "http")]
        self.line.closed().await;
        #[cfg(not(feature = "http"))]
        std::future::pending::<()>().await;
    }

    /// The server does not know the session any more: who listens in it is told, and begins anew in the next one.
    pub(super) fn lose(&self) {
        #[cfg(feature = "http")]
        self.line.close();
    }
}

/// A call on its last hop, with what the hop agreed on: what a transport takes.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The call, in the wording of the server's era.
    pub call: Call,
    /// What was agreed on.
    pub hop: Arc<Hop>,
}

/// In the extensions of an [`Outbound`] call: a client made it, so that what a server asks or logs meanwhile may be meant
/// for that client. The gateway's own calls do not bear it, nor do any that are not worded by [`Era`](super::era::Era).
#[derive(Clone, Copy, Debug, Default)]
pub struct OfClient {
    /// Every call under this hop is of the same client, so that what is meant for any of them is meant for it.
    pub alone: bool,
    /// The client has declared that it can be asked something, or wants to know what the server logs; so it is worth a
    /// connection to hear what the server says beside its answer.
    pub hears: bool,
}

/// In the extensions of a [`Method::LISTEN`](crate::Method::LISTEN): it is of one client, and wants what a server says in
/// the session that it keeps for that client. A server that keeps none accepts it without a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InSession;

/// What a server said while nobody listened may have been any of these; the last, without a URI, of every resource.
pub(super) const MISSED: [Method; 4] = [
    Method::TOOLS_LIST_CHANGED,
    Method::PROMPTS_LIST_CHANGED,
    Method::RESOURCES_LIST_CHANGED,
    Method::RESOURCES_UPDATED,
];

/// Carries calls to one server in one way; knows ids, framing and tokens, but no handshake.
///
/// - `poll_ready` reserves a place for one message, `call` spends it.
/// - Ids and progress tokens are minted here; progress notes come back with the call's own token.
/// - A dropped reply cancels the call as its revision wants it.
/// - A question of an initialize-era server becomes an [`Event::Ask`](crate::reply::Event::Ask) of the call it belongs
///   to, and its answer goes back under the server's own id; one that belongs to no call for certain is refused.
/// - [`Method::LISTEN`](crate::Method::LISTEN) under a legacy hop is answered here, with a stream of what the server
///   says outside of calls. After a gap in it every list counts as changed, and a `notifications/resources/updated`
///   without a `uri` says the same of every resource.
/// - A [notification](crate::Method::is_notification) is answered with [`Accepted`](crate::reply::Outcome::Accepted).
///
/// ```
/// use std::{future::{Ready, ready}, task::{Context, Poll}};
/// use tower::{Service, ServiceExt};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::{Json, Params}, registry::Server, reply::Outcome};
/// use tower_mcp_gateway::upstream::{Outbound, Transport, era::Era};
///
/// /// A server within this very program.
/// #[derive(Clone)]
/// struct Within;
///
/// impl Service<Outbound> for Within {
///     type Response = Reply;
///     type Error = BoxError;
///     type Future = Ready<Result<Reply, BoxError>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, Outbound { call, .. }: Outbound) -> Self::Future {
///         ready(Ok(Reply::single(match call.method.as_str() {
///             "server/discover" => Outcome::Result(Json::from_static(
///                 r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#,
///             )),
///             "tools/call" => Outcome::Result(Json::from_static(r#"{"content":[]}"#)),
///             _ => Outcome::Error(Json::from_static(r#"{"code":-32601,"message":"no such method"}"#)),
///         })))
///     }
/// }
///
/// impl Transport for Within {
///     fn epoch(&self) -> u64 {
///         1
///     }
///
///     async fn connected(&self) -> Result<u64, BoxError> {
///         Ok(self.epoch())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let server = Era::new(Within, &Server::http("within-1", "within", "http://localhost/mcp")?);
/// let reply = server.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await?;
/// assert!(reply.outcome().await?.result().is_some());
/// # Ok(()) }
/// ```
pub trait Transport:
    Service<Outbound, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static
{
    /// The number of the present connection, counted from 1; 0 while there is none. Transports whose calls are
    /// independent of each other have one connection for ever.
    fn epoch(&self) -> u64;

    /// Waits for a connection and says its number.
    fn connected(&self) -> impl Future<Output = Result<u64, BoxError>> + Send;

    /// Why there is no connection at present, in words for the operator, without a secret; `None` while all is well.
    fn fault(&self) -> Option<String> {
        None
    }

    /// Tells the server that the session of `hop` will not be used again, where sessions can be ended. Does not wait.
    fn end_session(&self, hop: &Hop) {
        let _ = hop;
    }
}
