use super::{
    Era,
    abilities::Abilities,
    error::HandshakeFailed,
    lanes::{Key, Lanes, Opened, watch},
    park::{INPUT_RESPONSES, REQUEST_STATE},
    service::unwelcome,
    wording::is_of_client,
};
use crate::{
    BoxError, Call, Method, Reply, Revision,
    error::find,
    json::{Json, Params, object::Edit},
    registry::Server,
    upstream::{
        Settings, Transport,
        error::{Crowded, Refused},
    },
};
use futures_util::{FutureExt, future::BoxFuture};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt, load_shed::error::Overloaded};

/// Connections of clients at one server. Each is a process or a stream that stays open, so there are far fewer than
/// sessions; beyond it, those are let go that nobody uses, and if all are in use a call is refused.
pub const MAX_CONNECTIONS: usize = 64;

/// An initialize-era server with a connection for each client: a child process, or an event stream.
///
/// What such a server asks and logs does not say which call it is about, so on one connection for all it reaches a client
/// only while no other has a call there. Here it cannot be meant for anybody else, and what the server remembers of one
/// client it does not show another.
///
/// A client with a session has one connection, opened with its name and capabilities, which ends with the session or
/// after ten minutes without a call. Clients of 2026-07-28 have no session: of those that can be asked something each
/// call gets a connection that no other call is on, the first that is free. Lists and health checks have a connection of
/// their own, so lists are what the server shows there; a server of 2026-07-28 needs no other, because nothing it says is
/// about a connection.
///
/// ```
/// use tower::ServiceExt;
/// use tower_mcp_gateway::{Call, Method, json::Params, registry::{Server, Sessions}, upstream::era::PerClient};
/// use tower_mcp_gateway::upstream::stdio::Stdio;
///
/// # tokio_test::block_on(async {
/// let script = r#"read q; echo '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"]}}'; read end"#;
/// let server = Server::stdio("one-1", "one", "sh").arg("-c").arg(script).sessions(Sessions::PerClient);
/// let one = server.clone();
/// let service = PerClient::new(move || Stdio::new(&one).expect("a stdio server"), &server);
/// assert_eq!(service.connections(), 0);
/// # let call = service.clone().oneshot(Call::new(Method::TOOLS_LIST, Params::empty()));
/// # let _ = tokio::time::timeout(std::time::Duration::from_millis(500), call).await;
/// # drop(service); server.tasks().close(); server.tasks().wait().await;
/// # });
/// ```
///
/// # Errors
///
/// [`Crowded`], never sent, if all of [`MAX_CONNECTIONS`] are in use; else what [`Era`] fails with.
pub struct PerClient<T> {
    common: Era<T>,
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    connect: Box<dyn Fn() -> T + Send + Sync>,
    settings: Arc<Settings>,
    tasks: TaskTracker,
    open: Arc<Lanes<Era<T>>>,
    /// A connection that is greeted as the common one is, to see whether the server takes another; for all who wait to know.
    trial: Mutex<Weak<Era<T>>>,
}

impl<T: Transport> PerClient<T> {
    /// Each connection is one that `connect` makes.
    pub fn new(connect: impl Fn() -> T + Send + Sync + 'static, server: &Server) -> Self {
        let common = Era::new(connect(), server);
        let shared = Shared {
            connect: Box::new(connect),
            settings: server.settings().clone(),
            tasks: server.tasks().clone(),
            open: Arc::new(Lanes::new(MAX_CONNECTIONS)),
            trial: Mutex::default(),
        };
        Self { common, shared: Arc::new(shared) }
    }

    /// Why the server cannot be reached at present, for the operator; `None` while all is well.
    pub fn fault(&self) -> Option<String> {
        self.common.fault()
    }

    /// The revision the latest handshake agreed on; `None` before the first.
    pub fn revision(&self) -> Option<Revision> {
        self.common.revision()
    }

    /// Name and version of the server, as it says itself; for display only.
    pub fn server_info(&self) -> Option<Json> {
        self.common.server_info()
    }

    /// Connections of clients.
    pub fn connections(&self) -> usize {
        self.shared.open.len()
    }

    /// Whether the call is to be made on the connection that all share.
    async fn is_common(&self, call: &Call) -> Result<bool, BoxError> {
        let but_once = || self.common.common().is_some_and(|agreed| agreed.takes.but_once());
        if !is_of_client(call) || but_once() {
            return Ok(true);
        }
        if self.common.revision().is_none() {
            // Answered from the handshake, or by a server of which no more needs to be known.
            let _ = self.common.clone().oneshot(Call::new(Method::DISCOVER, Params::empty())).await?;
        }
        Ok(self.common.revision().is_some_and(Revision::is_modern))
    }

    async fn route(self, mut call: Call) -> Result<Reply, BoxError> {
        if self.is_common(&call).await? {
            return self.common.oneshot(call).await;
        }
        if call.session.is_none() && call.params.member(REQUEST_STATE).is_some() {
            if let Some(reply) = self.common.claim(&call).await {
                return Ok(reply);
            }
            call.params = call.params.edit_shallow(&[Edit::Remove(INPUT_RESPONSES), Edit::Remove(REQUEST_STATE)]);
        }
        let own = self.shared.own(&call, &self.common).ok_or_else(|| Crowded::from(Overloaded::new()))?;
        let failed = match Era::clone(&own).oneshot(call.clone()).await {
            Ok(reply) => {
                self.took_another();
                // Who listens stands in no call's way; otherwise it is in use as long as the reply is.
                return Ok(if call.method == Method::LISTEN { reply } else { reply.hold(own) });
            }
            Err(failed) => failed,
        };
        let of_handshake = find::<HandshakeFailed>(&*failed).is_some();
        let Some(unwelcome) = unwelcome(&*failed).filter(|_| of_handshake) else { return Err(failed) };
        match find::<Refused>(&*failed).is_some() && !self.takes_another().await? {
            true => self.common.oneshot(call).await,
            false => Err(unwelcome.into()),
        }
    }

    fn took_another(&self) {
        if let Some(common) = self.common.common().filter(|common| !common.takes.several()) {
            common.takes.took_another();
        }
    }

    /// Whether the server takes `initialize` on another connection than the common one, where it refused a client's. It is
    /// asked in the gateway's own words: what one client says of itself must not decide how all others are served.
    async fn takes_another(&self) -> Result<bool, BoxError> {
        let common = self.common.common();
        if common.as_ref().is_some_and(|common| common.takes.several()) {
            return Ok(true);
        }
        let trial = self.shared.trial(&self.common);
        // Answered from the handshake.
        match Era::clone(&trial).oneshot(Call::new(Method::DISCOVER, Params::empty())).await {
            Ok(_) => {
                self.took_another();
                Ok(true)
            }
            Err(failed) if find::<Refused>(&*failed).is_none() => Err(failed),
            Err(_) => {
                if common.as_ref().is_some_and(|common| common.takes.refused_another()) {
                    tracing::warn!("a server takes no other `initialize`, so all clients share its connection for now");
                }
                // Another client's may have been taken meanwhile.
                Ok(common.is_some_and(|common| common.takes.several()))
            }
        }
    }
}

impl<T: Transport> Shared<T> {
    /// The connection on which is tried what the server takes; it ends with the last who waits for that.
    fn trial(&self, common: &Era<T>) -> Arc<Era<T>> {
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        trial.upgrade().unwrap_or_else(|| {
            let info = self.settings.client_info.clone();
            let made = Arc::new(common.dedicated((self.connect)(), info, Abilities::all().declaration()));
            *trial = Arc::downgrade(&made);
            made
        })
    }

    /// The connection of whoever makes the call.
    fn own(&self, call: &Call, common: &Era<T>) -> Option<Arc<Era<T>>> {
        let (key, session) = (Key::of(call), call.session.as_ref());
        let info = session.map_or(&self.settings.client_info, |session| session.client_info());
        let make = || common.dedicated((self.connect)(), info.clone(), key.declaration.clone());
        let opened = match session {
            Some(session) => self.open.of_session(&key, session, make),
            None => self.open.unused(&key, make),
        }?;
        let Opened { lane, key, let_go, .. } = match opened {
            Ok(opened) => opened,
            Err(present) => return Some(present),
        };
        let watch = watch(Arc::downgrade(&self.open), key, session.cloned(), |_| {});
        self.tasks.spawn(async move {
            let_go.run_until_cancelled(watch).await;
        });
        Some(lane)
    }
}

impl<T: Transport> Service<Call> for PerClient<T> {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    /// Always ready: a place is reserved at the connection the call turns out to be for.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        self.clone().route(call).boxed()
    }
}

impl<T: Clone> Clone for PerClient<T> {
    fn clone(&self) -> Self {
        Self { common: self.common.clone(), shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for PerClient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerClient").field("common", &self.common).finish_non_exhaustive()
    }
}
