use crate::{
    BoxError,
    auth::{Auth, AuthLayer},
    catalog::{Catalog, CatalogLayer},
    config::{Config, Limits},
    edge::{Body, Edge, EdgeLayer},
    identity::Identity,
    limit::{Limit, LimitLayer, Open},
    metrics::{Metrics, Tally, TallyLayer},
    origin::{Origin, OriginLayer},
    policy::{Quota, QuotaLayer},
    registry::{Changes, RegisterError, Registry, Server},
    route::Route,
    subscribe::{Subscribe, SubscribeLayer},
    timeout::{Timeout, TimeoutLayer},
    upstream,
};
use http::{Request, Response};
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::{
    Layer, Service,
    filter::{Filter, FilterLayer},
    load_shed::{LoadShed, LoadShedLayer},
};

/// The edge stack, as `ServiceBuilder` infers it from the layers of [`Gateway::new`].
pub type Stack = Origin<Auth<Edge<Tally<Quota<Calls>>>>>;

/// What is behind the edge.
type Calls = Catalog<Subscribe<Filter<LoadShed<Limit<Timeout<Route>>>, Open>>>;

/// The documented gateway as one service: the usual [`Stack`] over a [`Registry`].
///
/// Mount it in any host of tower services. Clients of every revision may use one path; those of 2024-11-05 look for a
/// path that ends in `/sse`.
///
/// ```
/// use tower_mcp_gateway::{Gateway, config::Config, registry::Server};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::new("my-gateway");
/// config.servers.push(Server::stdio("analytics-1", "analytics", "analytics-server"));
/// let (gateway, driver) = Gateway::from_config(config)?;
/// tokio::spawn(driver);
///
/// let app: axum::Router = axum::Router::new().route_service("/mcp", gateway);
/// # drop(app); Ok(()) }
/// ```
///
/// Who wants other layers composes them: every part of this type is public, and the crate's front page shows the whole
/// expression.
#[derive(Clone, Debug)]
pub struct Gateway {
    stack: Stack,
    control: Arc<Control>,
}

/// What a gateway is governed by, which no request needs: hosts of services clone one for each.
#[derive(Clone, Debug)]
struct Control {
    registry: Registry,
    calls: Limit<Timeout<Route>>,
    open: Open,
    listening: CancellationToken,
    cut: CancellationToken,
    drain_timeout: Duration,
    /// What it was made from, without the servers.
    config: Option<Arc<Config>>,
}

/// How long calls that were cut may take to deliver their error; a client that reads nothing is not waited for.
const DELIVERY: Duration = Duration::from_millis(300);
/// How long children that are made to leave are waited for: SIGTERM, SIGKILL, and the time of a busy machine.
const CHILDREN: Duration = Duration::from_millis(700);

impl Gateway {
    /// Calls in flight at once: far more than a fleet of agents has, few enough to stay in a small machine's memory.
    pub const IN_FLIGHT: usize = 512;
    /// The longest a call may take in all, however lively it is: 5 minutes.
    pub const MAX_TOTAL: Duration = Duration::from_secs(300);
    /// The longest that calls in flight may go on when the gateway stops: 30 s, as orchestrators give a program to end.
    pub const DRAIN: Duration = Duration::from_secs(30);

    /// A gateway with the documented behaviour, and the driver to spawn.
    ///
    /// It answers on a loopback address only to local pages and names, and elsewhere to no page of a browser at all.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if an entry of `config.servers` cannot be used.
    pub fn from_config(mut config: Config) -> Result<(Self, impl Future<Output = ()> + Send), RegisterError> {
        let servers = std::mem::take(&mut config.servers);
        let kept = Arc::new(config.clone());
        let defaults = upstream::Settings::default();
        let settings = upstream::Settings {
            connect_timeout: config.connect_timeout,
            start_timeout: config.start_timeout,
            max_message_bytes: config.limits.max_message_bytes,
            stop_grace: config.limits.stop_grace,
            kill_grace: config.limits.kill_grace,
            ask_timeout: config.limits.ask_timeout,
            identity: Identity::of_configuration(config.place),
            keys: config.keys.unwrap_or_else(|| defaults.keys.clone()),
            #[cfg(feature = "stdio")]
            watchdog: config.watchdog,
            #[cfg(feature = "stdio")]
            runtimes: config.runtimes,
            ..defaults
        };
        let per_server = config.limits.max_in_flight_per_server;
        let policies = config.auth.as_ref().and_then(AuthLayer::policies_of).unwrap_or_default();
        let builder = Registry::builder()
            .name(config.name)
            .policies(&policies)
            .strategy(config.balancer)
            .naming(config.naming)
            .probe_every(config.health_check_interval)
            .thresholds(config.limits.thresholds)
            .start_patience(if servers.is_empty() { Duration::ZERO } else { config.start_patience })
            .pin(config.pin)
            .pins(config.pins.unwrap_or_default())
            .settings(settings)
            .endpoint(move |server: &Server, upstream| {
                LimitLayer::new(server.max_in_flight_of().unwrap_or(per_server)).layer(upstream)
            });
        let (registry, driver) = builder.build_with(servers)?;
        let origin = origin(config.host);
        let gateway = Self::with_limits(registry, origin, config.request_timeout, &config.limits);
        let mut gateway = gateway.auth(config.auth.unwrap_or(AuthLayer::none()));
        Arc::make_mut(&mut gateway.control).config = Some(kept);
        Ok((gateway, driver))
    }

    /// The usual stack over a registry of your own making, with the default [`Limits`].
    ///
    /// `silence` is the longest a server may say nothing while a call waits for it.
    pub fn new(registry: Registry, origin: OriginLayer, silence: Duration) -> Self {
        Self::with_limits(registry, origin, silence, &Limits::default())
    }

    /// [`new`](Self::new) with bounds of your own.
    ///
    /// What concerns single servers (`maxInFlightPerServer`, `maxMessageBytes`, `fall`, `rise`) belongs to the registry
    /// and was settled with its [`Builder`](crate::registry::Builder).
    pub fn with_limits(registry: Registry, origin: OriginLayer, silence: Duration, limits: &Limits) -> Self {
        let (listening, cut) = (CancellationToken::new(), CancellationToken::new());
        let open = Open::new();
        let tables = registry.tables();
        let metrics = registry.settings().metrics.clone();
        let timeout = TimeoutLayer::new(silence, limits.max_total).ask_timeout(limits.ask_timeout).cut(cut.clone());
        // Kept apart, because the end of all calls is seen here.
        let calls = LimitLayer::new(limits.max_in_flight).layer(timeout.layer(Route::new(tables.clone())));
        let subscribe = SubscribeLayer::new(tables.versions());
        let subscribe = subscribe
            .resources(registry.hub())
            .metrics(metrics.clone())
            .max_streams(limits.max_streams)
            .shutdown(listening.clone());
        let edge = EdgeLayer::new().max_request_bytes(limits.max_request_bytes).body_timeout(limits.body_timeout);
        let edge = edge.metrics(metrics.clone());
        #[cfg(feature = "stdio")]
        let edge = edge.leaving(limits.drain_timeout);
        #[cfg(feature = "legacy")]
        let edge = edge.max_sessions(limits.max_sessions).session_idle_timeout(limits.idle_timeout);
        #[cfg(feature = "legacy")]
        let edge = edge.ask_timeout(limits.ask_timeout);
        // What clients carry outlives this process if the keys do.
        #[cfg(feature = "legacy")]
        let edge = edge.keys(registry.settings().keys.clone()).mount(registry.name());
        let edge = tower::ServiceBuilder::new()
            .layer(edge)
            .layer(TallyLayer::new(metrics.clone()))
            .layer(QuotaLayer::new())
            .layer(CatalogLayer::new(tables))
            .layer(subscribe)
            .layer(FilterLayer::new(open.clone()))
            .layer(LoadShedLayer::new())
            .service(calls.clone());
        let drain_timeout = limits.drain_timeout;
        let stack = origin.metrics(metrics).layer(AuthLayer::none().layer(edge));
        let control = Control { registry, calls, open, listening, cut, drain_timeout, config: None };
        Self { stack, control: Arc::new(control) }
    }

    /// Lets in only whom `layer` knows; without it nobody is asked who it is.
    ///
    /// It concerns HTTP: the client at the other end of [pipes](Self::serve_stdio) is whoever launched the program.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mcp_gateway::{Gateway, auth::{AuthLayer, Token}, origin::OriginLayer, registry::Registry};
    ///
    /// let (registry, driver) = Registry::builder().build();
    /// let token = Token::new("ci", &Token::generate()?)?;
    /// let gateway = Gateway::new(registry, OriginLayer::no_pages(), Duration::from_secs(30))
    ///     .auth(AuthLayer::required().token(token));
    /// # drop((gateway, driver));
    /// # Ok::<(), tower_mcp_gateway::BoxError>(())
    /// ```
    #[must_use]
    pub fn auth(mut self, layer: AuthLayer) -> Self {
        let layer = layer.metrics(self.metrics().clone());
        let auth = self.stack.get_mut();
        *auth = layer.layer(auth.get_ref().clone());
        self
    }

    /// The servers behind it.
    pub fn registry(&self) -> &Registry {
        &self.control.registry
    }

    /// What it counts; the same handle as in its registry's [`Settings`](upstream::Settings::metrics).
    pub fn metrics(&self) -> &Metrics {
        &self.control.registry.settings().metrics
    }

    /// Serves the client at the other end of two pipes, such as the program's stdin and stdout, until it closes
    /// `input` or the gateway is [drained](Self::drain).
    ///
    /// It stands beside the HTTP service and shares everything with it; see [`Edge::serve_stdio`].
    ///
    /// # Errors
    ///
    /// The one of the pipes.
    #[cfg(feature = "stdio")]
    pub async fn serve_stdio<R, W>(&self, input: R, output: W) -> std::io::Result<()>
    where
        R: tokio::io::AsyncRead + Unpin,
        W: tokio::io::AsyncWrite + Unpin,
    {
        self.edge().serve_stdio(input, output, self.control.listening.cancelled()).await
    }

    /// Ends the gateway in order, in bounded time.
    ///
    /// Listening streams are told that they are over, new calls are refused with 503, and child processes without a
    /// call are asked to leave. Calls in flight may finish until [`drain_timeout`](Limits::drain_timeout), then those that
    /// are left get an error and children that are left are killed. A second after that it returns, also if a client never
    /// read its answer or a child ignores every signal but SIGKILL.
    pub async fn drain(&self) {
        self.control.open.close();
        self.control.listening.cancel();
        let calls = async {
            self.control.calls.drain().await;
            self.close_sessions();
        };
        // Children leave while other calls go on: what is left of the time need not hold a child's whole grace.
        if timeout(self.control.drain_timeout, async { tokio::join!(calls, self.control.registry.close()) })
            .await
            .is_ok()
        {
            return;
        }
        tracing::warn!("calls in flight and servers that did not end in time are cut");
        self.control.cut.cancel();
        // Which of them deliver their error in time is for their clients to decide.
        let _ = timeout(DELIVERY, self.control.calls.drain()).await;
        self.close_sessions();
        self.control.registry.hurry();
        // Asked anew: the servers may have ended in time, and calls not.
        if timeout(CHILDREN, self.control.registry.close()).await.is_err() {
            tracing::warn!("some servers did not end in time");
        }
    }

    /// Ends what a [drain](Self::drain) still waits for: calls are cut and children killed, so that none outlives a process
    /// that is about to exit. They lead process groups of their own, and nobody else would end them.
    #[cfg(feature = "cli")]
    pub(crate) async fn halt(&self) {
        self.control.cut.cancel();
        self.control.registry.hurry();
        let _ = timeout(CHILDREN, self.control.registry.close()).await;
    }

    /// Brings the servers in line with `config`, as [`Registry::reload`] does, while calls go on.
    ///
    /// What does not concern servers is settled when a gateway is made. Fields in which `config` differs from the first
    /// one are named in the answer, and stand as they were.
    ///
    /// ```
    /// use tower_mcp_gateway::{Gateway, config::Config};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let parse = |text| Config::parse(text, |_| None);
    /// let (gateway, driver) = Gateway::from_config(parse(r#"{ "mcpServers": { "a": { "command": "a" } } }"#)?)?;
    /// tokio::spawn(driver);
    /// let reloaded = gateway.reload(parse(r#"{ "port": 4100, "mcpServers": { "b": { "command": "b" } } }"#)?)?;
    /// assert_eq!(reloaded.to_string(), "added b; removed a; 0 unchanged; port: restart to apply");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if an entry of `config.servers` cannot be used; nothing has changed then.
    pub fn reload(&self, config: Config) -> Result<Reloaded, RegisterError> {
        let restart =
            self.control.config.as_ref().map(|running| running.fixed_differences(&config)).unwrap_or_default();
        Ok(Reloaded { servers: self.control.registry.reload(config.servers)?, restart })
    }

    fn close_sessions(&self) {
        #[cfg(feature = "legacy")]
        self.edge().close_sessions();
    }

    #[cfg(any(feature = "legacy", feature = "stdio"))]
    fn edge(&self) -> &Edge<Tally<Quota<Calls>>> {
        self.stack.get_ref().get_ref()
    }
}

/// What a [reload](Gateway::reload) did; its `Display` is one line for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// What has become of the servers.
    pub servers: Changes,
    /// Fields that are different in the new configuration and stand as they were until a restart.
    pub restart: Vec<&'static str>,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.servers.fmt(f)?;
        match &self.restart[..] {
            [] => Ok(()),
            fields => write!(f, "; {}: restart to apply", fields.join(", ")),
        }
    }
}

/// Which browsers' pages and names are let in by a gateway that listens on `host`.
pub(crate) fn origin(host: IpAddr) -> OriginLayer {
    if host.is_loopback() {
        return OriginLayer::localhost();
    }
    OriginLayer::no_pages()
}

impl<B> Service<Request<B>> for Gateway
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <Stack as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.stack, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.stack.call(request)
    }
}
