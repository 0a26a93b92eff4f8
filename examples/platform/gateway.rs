//! The gateway, mounted in an axum app.

use std::{io, net::SocketAddr};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tower_mcp_gateway::{Gateway, config::Config};

use crate::{BoxError, platform::Platform};

/// A gateway that serves.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    http: JoinHandle<io::Result<()>>,
    driver: JoinHandle<()>,
}

/// Starts a gateway in front of the platform.
pub(crate) async fn start(port: u16, platform: &Platform) -> Result<Running, BoxError> {
    todo!("{port} {}", platform.files.url())
}
