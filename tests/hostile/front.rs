use crate::support::{
    PATIENCE,
    servers::{Kind, Running},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tower_mcp_gateway::{
    Gateway,
    cli::{accept::Accept, routes::Routes},
    config::Config,
    metrics::{Count, Metrics},
    origin::OriginLayer,
    registry::Server,
};

/// How long heads and bodies may take here; a client that stops in the middle is a case too.
const SHORT: Duration = Duration::from_millis(250);

/// A gateway in front of one server of each era, served as the program serves it.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    metrics: Metrics,
    _servers: [Running; 2],
    _tasks: JoinSet<()>,
}

impl Front {
    /// Everything that was counted so far.
    pub(crate) fn refusals(&self) -> u64 {
        Count::ALL.iter().map(|count| self.metrics.get(*count)).sum()
    }

    pub(crate) async fn start() -> Self {
        let servers = [Running::named(Kind::Modern, "one").await, Running::named(Kind::Legacy, "two").await];
        let mut config = Config::new("hostile");
        config.start_patience = PATIENCE;
        config.limits.body_timeout = SHORT;
        for server in &servers {
            let name = if server.kind == Kind::Modern { "one" } else { "two" };
            config.servers.push(Server::http(name, name, &server.url()).expect("a URL of our own"));
        }
        let (gateway, driver) = Gateway::from_config(config).expect("a configuration that holds");
        let metrics = gateway.metrics().clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let routes = Routes::new(gateway, || true).origin(OriginLayer::localhost().metrics(metrics.clone()));
        let accept = Accept::new(listener).head_timeout(SHORT).metrics(metrics.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        tasks.spawn(accept.serve(routes, std::future::pending()));
        Self { address, metrics, _servers: servers, _tasks: tasks }
    }
}
