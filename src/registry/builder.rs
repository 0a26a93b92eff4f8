use super::{
    RegisterError, Registry, Server,
    driver::{Driver, Timing},
    handle::{Members, Shared},
};
use crate::{
    BoxError, Call, Reply, ServerName,
    balance::policy::Strategy,
    catalog::Naming,
    health::{Board, Thresholds},
    identity::Identity,
    limit::{Limit, LimitLayer},
    pin::{Pin, Pins},
    policy::{Policies, Policy},
    route::{Pool, Table, Tables},
    subscribe::Hub,
    upstream::{self, Upstream},
};
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::sync::watch;
use tower::{Layer, Service};

/// How a registry reaches its servers, checks and balances them; made by [`Registry::builder`].
///
/// Two closures shape the stack of each endpoint, and both may be replaced:
///
/// - [`connect`](Self::connect) makes the service at the bottom, by default [`upstream::connect`]. Health checks and
///   lists go straight to it, below every limit, so that a busy server is not taken for a dead one.
/// - [`endpoint`](Self::endpoint) wraps it for the calls of clients, by default in a
///   [`LimitLayer`] of [`Builder::IN_FLIGHT`]. Middleware of your own, per server, goes here.
///
/// ```
/// use std::time::Duration;
/// use tower::ServiceBuilder;
/// use tower_mcp_gateway::{balance::policy::Strategy, limit::LimitLayer, registry::{Registry, Server}};
///
/// let (registry, driver) = Registry::builder()
///     .strategy(Strategy::LeastConnections)
///     .probe_every(Duration::from_secs(5))
///     .endpoint(|_: &Server, upstream| ServiceBuilder::new().layer(LimitLayer::new(20)).service(upstream))
///     .build();
/// # drop((registry, driver));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder<C = Connect, E = Endpoint> {
    name: String,
    policies: Policies,
    commands: Option<Arc<[String]>>,
    strategy: Strategy,
    naming: Naming,
    settings: upstream::Settings,
    thresholds: Thresholds,
    timing: Timing,
    pinning: (Pin, Pins),
    wrap: Wrap,
    connect: C,
    endpoint: E,
}

/// What [`Builder::pool`] was given.
pub(super) type Wrap = Arc<dyn Fn(&ServerName, Pool) -> Pool + Send + Sync>;

/// The type of the default [`connect`](Builder::connect).
pub type Connect = fn(&Server) -> Upstream;

/// The type of the default [`endpoint`](Builder::endpoint).
pub type Endpoint = fn(&Server, Upstream) -> Limit<Upstream>;

impl Builder {
    /// Calls in flight per endpoint unless the [server](Server::max_in_flight) or [`endpoint`](Self::endpoint) says otherwise: enough for any client, few
    /// enough that a server that hangs holds no more than this.
    pub const IN_FLIGHT: usize = 100;

    pub(super) fn new() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            policies: Policies::default(),
            commands: None,
            strategy: Strategy::default(),
            naming: Naming::default(),
            settings: upstream::Settings::default(),
            thresholds: Thresholds::default(),
            timing: Timing::default(),
            pinning: Default::default(),
            wrap: Arc::new(|_, pool| pool),
            connect: upstream::connect,
            endpoint: |server, upstream| {
                LimitLayer::new(server.max_in_flight_of().unwrap_or(Self::IN_FLIGHT)).layer(upstream)
            },
        }
    }
}

impl<C, E> Builder<C, E> {
    /// The gateway's name, told to clients as `serverInfo`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Keeps the tables of these policies; see [`policy`](crate::policy).
    pub fn policies(mut self, policies: &Policies) -> Self {
        self.policies = policies.clone();
        self
    }

    /// Lets only these commands be registered at run time, each exactly as it is written; without it the program that calls
    /// [`register`](Registry::register) is trusted with any.
    ///
    /// For whoever passes requests to register on: a server on stdio is a program that is run. Servers of the
    /// configuration are not concerned.
    ///
    /// ```
    /// use tower_mcp_gateway::registry::{Registry, Server};
    ///
    /// let (registry, driver) = Registry::builder().commands(["analytics-server"]).build();
    /// registry.register(Server::stdio("a-1", "a", "analytics-server"))?;
    /// let refused = registry.register(Server::stdio("b-1", "b", "sh").arg("-c").arg("rm -r /")).unwrap_err();
    /// assert!(refused.to_string().starts_with("connection.command: \"sh\" is not among the commands"));
    /// # drop(driver);
    /// # Ok::<(), tower_mcp_gateway::registry::RegisterError>(())
    /// ```
    pub fn commands(mut self, commands: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.commands = Some(commands.into_iter().map(Into::into).collect());
        self
    }

    /// How calls are spread over the servers of one name.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Which names tools and prompts of several servers get.
    pub fn naming(mut self, naming: Naming) -> Self {
        self.naming = naming;
        self
    }

    /// How often each server's health is checked: 15 s, ± 10 % so that checks do not fall together.
    pub fn probe_every(mut self, interval: Duration) -> Self {
        self.timing.interval = interval;
        self
    }

    /// How many checks in a row must fail or succeed to change the verdict on a server: 1 and 1.
    ///
    /// A server that flaps is calmed by more of both. A failed connection of a real call is no check: it takes the
    /// server out at once, whatever is set here.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use tower_mcp_gateway::{health::Thresholds, registry::Registry};
    ///
    /// let calm = Thresholds { fall: NonZeroU32::new(3).unwrap(), rise: NonZeroU32::new(2).unwrap() };
    /// let (registry, driver) = Registry::builder().thresholds(calm).build();
    /// # drop((registry, driver));
    /// ```
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// How long lists and calls of unknown names wait at the start for servers that have not answered yet: 5 s.
    pub fn start_patience(mut self, patience: Duration) -> Self {
        self.timing.start_patience = patience;
        self
    }

    /// What is done about a tool that is not what was first seen: it is reported. A [server](Server::pin) may say something
    /// else for itself.
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pinning.0 = pin;
        self
    }

    /// What was first seen of tools before, and where what is new is pinned: in memory, for as long as the registry is.
    ///
    /// [`Pins`] says how they are kept for longer.
    pub fn pins(mut self, pins: Pins) -> Self {
        self.pinning.1 = pins;
        self
    }

    /// Timeouts and bounds of connections.
    pub fn settings(mut self, settings: upstream::Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Replaces what makes the service at the bottom of each endpoint: a connection of your own, a mock in tests.
    ///
    /// It must return at once; connecting belongs into the service.
    pub fn connect<F, U>(self, connect: F) -> Builder<F, E>
    where
        F: Fn(&Server) -> U,
    {
        self.made_by(|_, endpoint| (connect, endpoint))
    }

    /// Replaces what wraps each endpoint's service for the calls of clients.
    pub fn endpoint<F>(self, endpoint: F) -> Builder<C, F> {
        self.made_by(|connect, _| (connect, endpoint))
    }

    fn made_by<D, F>(self, replace: impl FnOnce(C, E) -> (D, F)) -> Builder<D, F> {
        let (connect, endpoint) = replace(self.connect, self.endpoint);
        Builder {
            name: self.name,
            policies: self.policies,
            commands: self.commands,
            strategy: self.strategy,
            naming: self.naming,
            settings: self.settings,
            thresholds: self.thresholds,
            timing: self.timing,
            pinning: self.pinning,
            wrap: self.wrap,
            connect,
            endpoint,
        }
    }

    /// Wraps each pool, which is all servers of one name with retries and balancing, in layers of your own.
    ///
    /// ```
    /// use tower::{ServiceBuilder, load_shed::LoadShedLayer};
    /// use tower_mcp_gateway::{limit::LimitLayer, registry::Registry, route::Pool};
    ///
    /// // At most ten calls at once to all replicas of a name together.
    /// let builder = Registry::builder().pool(|_, pool| {
    ///     Pool::new(ServiceBuilder::new().layer(LoadShedLayer::new()).layer(LimitLayer::new(10)).service(pool))
    /// });
    /// # drop(builder);
    /// ```
    pub fn pool<F>(mut self, wrap: F) -> Self
    where
        F: Fn(&ServerName, Pool) -> Pool + Send + Sync + 'static,
    {
        self.wrap = Arc::new(wrap);
        self
    }

    /// The registry, and the driver to spawn.
    pub fn build<U, S>(self) -> (Registry, impl Future<Output = ()> + Send + use<C, E, U, S>)
    where
        C: Fn(&Server) -> U + Send + Sync + 'static,
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
        E: Fn(&Server, U) -> S + Send + Sync + 'static,
        S: Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
    {
        let (tables, board) = (Tables::new(Table::default()), Board::new(self.thresholds));
        let identity = Identity::new(self.settings.identity.configuration.clone());
        let settings = upstream::Settings { hung_after: self.thresholds.fall, identity, ..self.settings };
        self.policies.all().iter().for_each(Policy::keep);
        let shared = Arc::new(Shared {
            name: self.name.as_str().into(),
            policies: self.policies,
            commands: self.commands,
            members: watch::Sender::new(Members::default()),
            changes: watch::Sender::new(0),
            pinning: self.pinning,
            hub: Hub::new(tables.clone(), board.subscribe()),
            tables,
            board,
            settings: Arc::new(settings),
        });
        let driver = Driver::new(&shared, self.name, (self.strategy, self.wrap), self.naming, self.timing);
        let driver = driver.run(self.connect, self.endpoint);
        (Registry { shared }, driver)
    }

    /// [`build`](Self::build) with the servers of a configuration, whose order decides between equal tool names.
    ///
    /// # Errors
    ///
    /// The first [`RegisterError`].
    pub fn build_with<I, U, S>(
        self,
        servers: I,
    ) -> Result<(Registry, impl Future<Output = ()> + Send + use<I, C, E, U, S>), RegisterError>
    where
        I: IntoIterator<Item = Server>,
        C: Fn(&Server) -> U + Send + Sync + 'static,
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
        E: Fn(&Server, U) -> S + Send + Sync + 'static,
        S: Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
    {
        let (registry, driver) = self.build();
        for server in servers {
            registry.admit(server, true)?;
        }
        Ok((registry, driver))
    }
}

impl<C, E> fmt::Debug for Builder<C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builder = f.debug_struct("Builder");
        builder.field("name", &self.name).field("strategy", &self.strategy).field("timing", &self.timing);
        builder.finish_non_exhaustive()
    }
}
