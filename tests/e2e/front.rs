//! A gateway to test: the library in an axum app, on a port of its own.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};
use tower_mcp_gateway::{Gateway, config::Config, registry::Server};

use crate::support::{
    PATIENCE,
    servers::{Kind, Running, example},
};

/// A gateway that serves until it is dropped.
pub(crate) struct Front {
    /// What it serves, for tests that look inside.
    #[allow(dead_code, reason = "each test target uses its part")]
    pub(crate) gateway: Gateway,
    address: SocketAddr,
    pipes: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Front {
    /// In front of these, with health checks often enough for a test.
    pub(crate) async fn of(servers: Vec<Server>) -> Self {
        Self::with(servers, |_| {}).await
    }

    /// The same, after a change of its configuration.
    pub(crate) async fn with(servers: Vec<Server>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("e2e");
        config.health_check_interval = Duration::from_millis(200);
        // A list must not miss a child only because the machine is busy.
        config.start_patience = PATIENCE;
        config.servers = servers;
        change(&mut config);
        let (gateway, driver) = Gateway::from_config(config).expect("a configuration that holds");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let app = Router::new().fallback_service(gateway.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let pipes = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to_pipes = pipes.local_addr().expect("a bound listener has an address");
        let served = gateway.clone();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = pipes.accept().await {
                let (input, output) = client.into_split();
                let gateway = served.clone();
                clients.spawn(async move { gateway.serve_stdio(input, output).await });
            }
        });
        tasks.spawn(async move { axum::serve(listener, app).await.expect("axum serves for ever") });
        Self { gateway, address, pipes: to_pipes, _tasks: tasks }
    }

    /// In front of one server.
    pub(crate) async fn of_one(server: &Running) -> Self {
        Self::of(vec![entry("one-1", "one", server)]).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a client finds the gateway as the stdio server that it would have launched.
    #[allow(dead_code, reason = "each test target uses its part")]
    pub(crate) fn pipes(&self) -> SocketAddr {
        self.pipes
    }

    /// The endpoint of Streamable HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

/// A running server as an entry of a gateway's configuration.
pub(crate) fn entry(id: &str, name: &str, server: &Running) -> Server {
    let entry = match server.kind {
        Kind::Sse => Server::sse(id, name, &server.url()),
        Kind::Pipe | Kind::ModernPipe => {
            let peer = Server::stdio(id, name, example("peer").display().to_string());
            return peer.arg("pipe").arg(server.address().to_string());
        }
        _ => Server::http(id, name, &server.url()),
    };
    entry.expect("a URL of our own")
}

/// The helper program as an entry: a server over stdio named `name`, of `legacy`, `modern`, `both` or `plain` make.
pub(crate) fn child(id: &str, name: &str, era: &str) -> Server {
    Server::stdio(id, name, example("peer").display().to_string()).arg(name).arg(era)
}
