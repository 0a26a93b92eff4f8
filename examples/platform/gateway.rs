//! The gateway: a configuration in code, mounted in an axum app.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tower_mcp_gateway::{Gateway, config::Config, registry::Server};

use crate::{BoxError, platform::Platform};

/// How long the end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway that serves.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    gateway: Gateway,
    tasks: JoinSet<()>,
}

/// Starts a gateway in front of the platform.
pub(crate) async fn start(port: u16, platform: &Platform) -> Result<Running, BoxError> {
    let [first, second] = &platform.search;
    let this_program = std::env::current_exe()?.display().to_string();

    let mut config = Config::new("platform");
    config.health_check_interval = Duration::from_secs(1);
    config.servers = vec![
        Server::sse("search-1", "search", &first.url())?,
        Server::sse("search-2", "search", &second.url())?,
        Server::sse("files-1", "files", &platform.files.url())?,
        Server::stdio("analytics-1", "analytics", this_program).arg("analytics"),
    ];
    let (gateway, driver) = Gateway::from_config(config)?;

    let app = Router::new().fallback_service(gateway.clone());
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;

    let mut tasks = JoinSet::new();
    tasks.spawn(driver);
    tasks.spawn(async move { axum::serve(listener, app).await.expect("axum serves for ever") });
    Ok(Running { address, gateway, tasks })
}

impl Running {
    /// Lets calls in flight finish, and ends the analytics server.
    pub(crate) async fn stop(mut self) {
        if timeout(PATIENCE, self.gateway.drain()).await.is_err() {
            println!("some calls or servers did not end in {PATIENCE:?}");
        }
        self.tasks.shutdown().await;
    }
}
