use super::{
    abilities::Abilities,
    agreed::Agreed,
    future::ResponseFuture,
    gate,
    handshake::Opening,
    lane::Lane,
    lanes::{Key, Lanes, MAX_LANES, Usable},
    leave::Leave,
    listen, logging,
    park::{self, Claim, Park, REQUEST_STATE},
    probe::UNSUPPORTED_VERSION,
    sent::Sent,
    wording::{self, Plan},
};
use crate::{
    BoxError, Call, Method, Reply, Revision,
    error::Problem,
    json::Json,
    registry::{Connection, Server, Sessions},
    reply::Outcome,
    upstream::{InSession, Outbound, Settings, Transport},
};
use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use std::{
    fmt,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll},
};
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

mod again;
mod agree;

pub(super) use self::{again::Tries, agree::unwelcome};

/// A server of either era behind one transport, as a service of calls.
///
/// The way of a call whose server is known is one atomic load and one comparison; a handshake, where one is needed,
/// runs inside the future. Clones share what was found; none inherits the readiness of another.
///
/// ```
/// use tower::ServiceExt;
/// use tower_mcp_gateway::{Call, Method, Revision, json::Params, registry::Server};
/// use tower_mcp_gateway::upstream::{era::Era, stdio::Stdio};
///
/// # tokio_test::block_on(async {
/// let script = r#"read q; echo '{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"]}}'; read end"#;
/// let server = Server::stdio("one-1", "one", "sh").arg("-c").arg(script);
/// let era = Era::new(Stdio::new(&server).expect("a stdio server"), &server);
/// assert_eq!(era.revision(), None);
/// # let call = era.clone().oneshot(Call::new(Method::TOOLS_LIST, Params::empty()));
/// # let _ = tokio::time::timeout(std::time::Duration::from_millis(500), call).await;
/// # assert_eq!(era.revision(), Some(Revision::V2026_07_28));
/// # drop(era); server.tasks().close(); server.tasks().wait().await;
/// # });
/// ```
#[derive(Clone)]
pub struct Era<T> {
    /// Readiness is reserved here and spent by `call`.
    transport: T,
    conversation: Arc<Conversation<T>>,
}

/// What the clones of one [`Era`] share.
pub(super) struct Conversation<T> {
    /// The first to be dropped: it needs the lanes.
    _leave: Leave,
    /// Never made ready itself; attempts after the first are made on clones of it.
    transport: T,
    settings: Arc<Settings>,
    child: bool,
    opening: Opening,
    per_client: bool,
    /// The whole connection is of one client.
    dedicated: bool,
    /// For the gateway's own calls, and for all calls where clients have no session of their own.
    common: Arc<Lane>,
    lanes: Arc<Lanes<Lane>>,
    /// Opened as the common one is, to see whether the server takes another `initialize`; never called on.
    trial: Lane,
    /// Shared with those who listen on a connection of one client.
    listening: Arc<()>,
    /// Where the watches over client sessions run; each ends with its lane.
    tasks: TaskTracker,
    park: Arc<Park>,
    latest: ArcSwapOption<Agreed>,
    fault: ArcSwapOption<String>,
}

impl<T: Transport> Era<T> {
    /// Finds out about the server behind `transport` when the first call comes.
    pub fn new(transport: T, server: &Server) -> Self {
        let opening = match server.connection() {
            // HTTP+SSE itself is of the initialize era.
            Connection::Sse { .. } => Opening::InitializeOnly,
            Connection::Stdio { .. } | Connection::Http { .. } => Opening::Discover,
        };
        Self::with_opening(transport, server, opening)
    }

    /// For a transport that only initialize-era servers speak, whatever the server's entry says: nothing but
    /// `initialize` is asked.
    pub fn initialize_only(transport: T, server: &Server) -> Self {
        Self::with_opening(transport, server, Opening::InitializeOnly)
    }

    fn with_opening(transport: T, server: &Server, opening: Opening) -> Self {
        let settings = server.settings().clone();
        let common = Arc::new(Lane::new(settings.client_info.clone(), Abilities::all().declaration()));
        let lanes = Arc::new(Lanes::new(MAX_LANES));
        let conversation = Conversation {
            _leave: Leave::new(transport.clone(), (&common, &lanes), server.tasks()),
            transport: transport.clone(),
            child: matches!(server.connection(), Connection::Stdio { .. }),
            opening,
            per_client: server.sessions_of() == Sessions::PerClient,
            dedicated: false,
            common,
            lanes,
            trial: Lane::new(settings.client_info.clone(), Abilities::all().declaration()),
            listening: Arc::default(),
            tasks: server.tasks().clone(),
            park: Arc::new(Park::new(server.id().clone(), settings.clone(), server.tasks().clone())),
            latest: ArcSwapOption::empty(),
            fault: ArcSwapOption::empty(),
            settings,
        };
        Self { transport, conversation: Arc::new(conversation) }
    }

    /// The same server over a connection of one client alone, which is told of that client. What waits for answers waits
    /// in one place for all connections.
    pub(super) fn dedicated(&self, transport: T, client_info: Json, declaration: Arc<str>) -> Self {
        let all = &*self.conversation;
        let common = Arc::new(Lane::new(client_info.clone(), declaration.clone()));
        let lanes = Arc::new(Lanes::new(MAX_LANES));
        let conversation = Conversation {
            _leave: Leave::new(transport.clone(), (&common, &lanes), &all.tasks),
            transport: transport.clone(),
            settings: all.settings.clone(),
            child: all.child,
            opening: all.opening(),
            per_client: false,
            dedicated: true,
            common,
            lanes,
            trial: Lane::new(client_info, declaration),
            listening: Arc::default(),
            tasks: all.tasks.clone(),
            park: all.park.clone(),
            latest: ArcSwapOption::empty(),
            fault: ArcSwapOption::empty(),
        };
        Self { transport, conversation: Arc::new(conversation) }
    }

    /// What comes of a call that brings the state of an earlier one; `None` if it is to be made anew.
    pub(super) async fn claim(&self, call: &Call) -> Option<Reply> {
        self.conversation.claim(call).await.ok()
    }

    /// Why the latest attempt to reach the server or to agree with it failed, for the operator; `None` while all is
    /// well.
    pub fn fault(&self) -> Option<String> {
        self.transport.fault().or_else(|| self.conversation.fault.load().as_deref().cloned())
    }
}

impl<T: Transport> Usable for Era<T> {
    /// What is parked holds its lane.
    fn is_used(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || Arc::strong_count(&self.conversation.common) > 1
    }

    fn is_wanted(self: &Arc<Self>) -> bool {
        self.is_used() || Arc::strong_count(&self.conversation.listening) > 1
    }
}

impl<T> Era<T> {
    /// The transport.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// The revision the latest handshake agreed on; `None` before the first.
    pub fn revision(&self) -> Option<Revision> {
        self.conversation.latest.load().as_ref().map(|agreed| agreed.revision)
    }

    /// Name and version of the server, as it says itself; for display only.
    pub fn server_info(&self) -> Option<Json> {
        self.conversation.latest.load().as_ref().and_then(|agreed| agreed.server_info())
    }

    /// What the gateway agreed on for its own calls, if that stands.
    pub(super) fn common(&self) -> Option<Arc<Agreed>> {
        self.conversation.common.latest()
    }

    /// Calls that wait for answers of their clients.
    pub fn parked(&self) -> usize {
        self.conversation.park.len()
    }

    /// Sessions of clients at the server.
    pub fn sessions(&self) -> usize {
        self.conversation.lanes.len()
    }
}

impl<T: Transport> Service<Call> for Era<T> {
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.transport.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> ResponseFuture<T> {
        self.direct(call).unwrap_or_else(|call| self.driven(call))
    }
}

impl<T: Transport> Era<T> {
    /// Makes a call of a server whose era is known; gives it back where there is more to do than to send it.
    pub(in crate::upstream) fn direct(&mut self, call: Call) -> Result<ResponseFuture<T>, Call> {
        if call.method != Method::LISTEN
            && let Some((lane, agreed)) = self.conversation.current(&call, self.transport.epoch())
            && logging::wanted(&call, &agreed).is_none()
            && let Plan::Send(worded) = self.conversation.plan(&call, &lane, &agreed)
        {
            let conversation = self.conversation.clone();
            let future = self.transport.call(Outbound { call: worded, hop: agreed.hop.clone() });
            return Ok(ResponseFuture::direct(future, Sent { conversation, call, lane, agreed }));
        }
        Err(call)
    }

    /// Makes a call, after a handshake or whatever else it needs.
    pub(in crate::upstream) fn driven(&mut self, call: Call) -> ResponseFuture<T> {
        let conversation = self.conversation.clone();
        // The place that was reserved is given back: the handshake needs places of its own, and calls that wait for it
        // must not hold them all.
        self.transport = conversation.transport.clone();
        ResponseFuture::driven(conversation.drive(call, Tries::default()).boxed())
    }
}

impl<T> fmt::Debug for Era<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Era").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

/// The call is to be made, whatever answers it brings.
struct Again;

impl<T> Conversation<T> {
    /// Whether a modern server turned the call away, unexecuted, because it does not speak that revision any more.
    pub(super) fn is_other_revision(reply: &Reply, agreed: &Agreed) -> bool {
        let code = reply.as_single().and_then(Outcome::error_code);
        agreed.revision.is_modern() && code == Some(UNSUPPORTED_VERSION)
    }

    /// What the call can be sent under at once, if anything.
    fn current(&self, call: &Call, epoch: u64) -> Option<(Arc<Lane>, Arc<Agreed>)> {
        let agreed = self.common.current(epoch)?;
        match self.own(call, &agreed) {
            None => Some((self.common.clone(), agreed)),
            Some(key) => {
                let lane = self.lanes.get(&key)?;
                let agreed = lane.current(epoch)?;
                Some((lane, agreed))
            }
        }
    }

    /// Who shares the session this call runs in, if it is not everybody.
    fn own(&self, call: &Call, common: &Agreed) -> Option<Key> {
        let per_client = self.per_client && !common.revision.is_modern() && common.hop.session_id().is_some();
        let own = per_client && wording::is_of_client(call) && !common.takes.but_once();
        own.then(|| Key::of(call))
    }

    fn plan(&self, call: &Call, lane: &Arc<Lane>, agreed: &Agreed) -> Plan {
        let alone = call.session.is_some() && (self.dedicated || !Arc::ptr_eq(lane, &self.common));
        wording::plan(call, agreed, &self.settings.client_info, alone)
    }
}

impl<T: Transport> Conversation<T> {
    /// Words a reply for the gateway.
    pub(super) fn unworded(self: &Arc<Self>, reply: Reply, call: &Call, lane: &Arc<Lane>, agreed: &Agreed) -> Reply {
        let reply = wording::unworded(reply, call, agreed);
        if self.dedicated && call.method == Method::LISTEN {
            return gate::reply(reply.hold(self.listening.clone()), call, &self.park);
        }
        // A lane is in use as long as one of its replies is.
        let reply = reply.hold(lane.clone());
        if agreed.revision.is_modern() {
            return reply;
        }
        let reply = gate::reply(reply, call, &self.park);
        // Whoever listens does so to the end of the session, and must not put it off.
        if call.method == Method::LISTEN { reply } else { self.outlive(reply) }
    }

    /// The reply of a call that runs in a session, which a server that is let go must not be told to end meanwhile. Outside
    /// of the gate: what is parked there would keep the park that it waits in.
    fn outlive(self: &Arc<Self>, reply: Reply) -> Reply {
        reply.hold(self.clone())
    }

    /// Handshake if need be, then the call; again while it is turned away. `tries` have been made before.
    pub(super) async fn drive(self: Arc<Self>, call: Call, mut tries: Tries) -> Result<Reply, BoxError> {
        loop {
            tries.made += 1;
            let (lane, agreed) = self.agree(&call).await?;
            let shared = Arc::ptr_eq(&lane, &self.common) && !self.dedicated;
            if shared && call.extensions.get::<InSession>().is_some() {
                return Ok(Reply::single(Outcome::Accepted));
            }
            if let Some(level) = logging::wanted(&call, &agreed) {
                logging::set(self.transport.clone(), &agreed, level).await;
            }
            let sent = match self.plan(&call, &lane, &agreed) {
                Plan::Answer(outcome) => return Ok(Reply::single(outcome)),
                Plan::Retry(worded) => match self.claim(&call).await {
                    Ok(reply) => return Ok(self.outlive(reply)),
                    Err(Again) => {
                        let outbound = Outbound { call: worded, hop: agreed.hop.clone() };
                        self.transport.clone().oneshot(outbound).await
                    }
                },
                Plan::Listen(worded) => listen::legacy(self.transport.clone(), worded, &agreed, &self.tasks).await,
                Plan::Send(worded) => {
                    let outbound = Outbound { call: worded, hop: agreed.hop.clone() };
                    self.transport.clone().oneshot(outbound).await
                }
            };
            let ended = match sent {
                Ok(reply) if tries.made == 1 && Self::is_other_revision(&reply, &agreed) => {
                    lane.forget(&agreed);
                    continue;
                }
                Ok(reply) => Ok(reply),
                Err(error) => match self.turned_away(error, &call, &lane, &agreed, &mut tries).await {
                    ControlFlow::Continue(()) => continue,
                    ControlFlow::Break(ended) => ended,
                },
            };
            return ended.map(|reply| self.unworded(reply, &call, &lane, &agreed));
        }
    }

    /// What comes of a call that brings answers, unless it is to be made as if it brought none.
    async fn claim(&self, call: &Call) -> Result<Reply, Again> {
        if call.params.member(REQUEST_STATE).is_none() {
            return Err(Again);
        }
        match self.park.claim(call).await {
            Ok(Claim::Parked(parked)) => Ok(gate::resume(*parked, call, &self.park)),
            Ok(Claim::Again) if park::is_declined(call) => {
                let problem = Problem::rpc(200, -32603, "the client declined what the server needs for this call");
                Ok(Reply::single(Outcome::Error(problem.to_json())))
            }
            Ok(Claim::Again) => Err(Again),
            Err(problem) => Ok(Reply::single(Outcome::Error(problem.to_json()))),
        }
    }
}
