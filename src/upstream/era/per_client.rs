use super::{
    Era,
    lanes::{Key, Lanes, Opened, watch},
    park::{INPUT_RESPONSES, REQUEST_STATE},
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
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
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
    /// The server takes `initialize` from one connection only.
    single: AtomicBool,
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
            single: AtomicBool::new(false),
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
        if !is_of_client(call) || self.shared.single.load(Relaxed) {
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
            call.params = call.params.edit(&[Edit::Remove(INPUT_RESPONSES), Edit::Remove(REQUEST_STATE)]);
        }
        let own = self.shared.own(&call, &self.common).ok_or_else(|| Crowded::from(Overloaded::new()))?;
        match Era::clone(&own).oneshot(call.clone()).await {
            Err(error) if find::<Refused>(&*error).is_some() => {
                tracing::warn!("a server takes `initialize` only once, so all clients share its connection");
                self.shared.single.store(true, Relaxed);
                self.common.oneshot(call).await
            }
            // Who listens stands in no call's way.
            reply if call.method == Method::LISTEN => reply,
            // In use as long as the reply is.
            reply => Ok(reply?.hold(own)),
        }
    }
}

impl<T: Transport> Shared<T> {
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
