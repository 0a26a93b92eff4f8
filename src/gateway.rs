use crate::{
    BoxError,
    catalog::{Catalog, CatalogLayer},
    config::Config,
    edge::{Body, Edge, EdgeLayer},
    limit::{Limit, LimitLayer},
    origin::{Origin, OriginLayer},
    registry::{RegisterError, Registry},
    route::Route,
    subscribe::{Subscribe, SubscribeLayer},
    timeout::{Timeout, TimeoutLayer},
    upstream,
};
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    task::{Context, Poll},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tower::{
    Layer, Service,
    load_shed::{LoadShed, LoadShedLayer},
};

/// The edge stack, as `ServiceBuilder` infers it from the layers of [`Gateway::new`].
pub type Stack = Origin<Edge<Calls>>;

/// What is behind the edge.
type Calls = Catalog<Subscribe<LoadShed<Limit<Timeout<Route>>>>>;

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
    registry: Registry,
    edge: Edge<Calls>,
    calls: Limit<Timeout<Route>>,
    listening: CancellationToken,
}

impl Gateway {
    /// Calls in flight at once: far more than a fleet of agents has, few enough to stay in a small machine's memory.
    pub const IN_FLIGHT: usize = 512;
    /// The longest a call may take in all, however lively it is: 5 minutes.
    pub const MAX_TOTAL: Duration = Duration::from_secs(300);

    /// A gateway with the documented behaviour, and the driver to spawn.
    ///
    /// It answers on a loopback address only to local pages and names, and elsewhere to no page of a browser at all.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if an entry of `config.servers` cannot be used.
    pub fn from_config(config: Config) -> Result<(Self, impl Future<Output = ()> + Send), RegisterError> {
        let settings = upstream::Settings {
            connect_timeout: config.connect_timeout,
            start_timeout: config.start_timeout,
            ..upstream::Settings::default()
        };
        let builder = Registry::builder()
            .name(config.name)
            .strategy(config.balancer)
            .naming(config.naming)
            .probe_every(config.health_check_interval)
            .start_patience(if config.servers.is_empty() { Duration::ZERO } else { config.start_patience })
            .settings(settings);
        let (registry, driver) = builder.build_with(config.servers)?;
        let origin = origin(config.host);
        Ok((Self::new(registry, origin, config.request_timeout), driver))
    }

    /// The usual stack over a registry of your own making.
    ///
    /// `silence` is the longest a server may say nothing while a call waits for it.
    pub fn new(registry: Registry, origin: OriginLayer, silence: Duration) -> Self {
        let listening = CancellationToken::new();
        let tables = registry.tables();
        let route = TimeoutLayer::new(silence, Self::MAX_TOTAL).layer(Route::new(tables.clone()));
        // Kept apart, because the end of all calls is seen here.
        let calls = LimitLayer::new(Self::IN_FLIGHT).layer(route);
        let subscribe = SubscribeLayer::new(tables.versions()).resources(registry.hub()).shutdown(listening.clone());
        let edge = tower::ServiceBuilder::new()
            .layer(EdgeLayer::new())
            .layer(CatalogLayer::new(tables))
            .layer(subscribe)
            .layer(LoadShedLayer::new())
            .service(calls.clone());
        Self { stack: origin.layer(edge.clone()), registry, edge, calls, listening }
    }

    /// The servers behind it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Ends the gateway in order: listening streams are told that they are over, calls in flight finish while new ones
    /// are refused, then sessions end and every server's connection is closed and its process stopped.
    ///
    /// It waits for the last of them; bound it with a timeout, after which [`Registry::close`] still stops the servers.
    pub async fn drain(&self) {
        self.listening.cancel();
        self.calls.drain().await;
        #[cfg(feature = "legacy")]
        self.edge.close_sessions();
        self.registry.close().await;
    }
}

/// Which browsers' pages and names are let in by a gateway that listens on `host`.
fn origin(host: IpAddr) -> OriginLayer {
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
