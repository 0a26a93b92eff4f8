//! The whole program in about forty lines of library use: a gateway on a port, from a configuration file, that ends in
//! order on ctrl-c.
//!
//! ```sh
//! cargo run --example standalone -- my-servers.json
//! ```

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{error::Error, time::Duration};
use tokio::{net::TcpListener, time::timeout};
use tower_mcp_gateway::{Gateway, config::Config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: standalone CONFIG.json")?;
    let config = Config::from_file(file)?;
    let listener = TcpListener::bind((config.host, config.port)).await?;
    println!("{} listens on http://{}/mcp", config.name, listener.local_addr()?);

    let (gateway, driver) = Gateway::from_config(config)?;
    tokio::spawn(driver);

    let serve = async {
        loop {
            let Ok((connection, _)) = listener.accept().await else { continue };
            let service = TowerToHyperService::new(gateway.clone());
            tokio::spawn(async move {
                let connection = TokioIo::new(connection);
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(connection, service).await;
            });
        }
    };
    tokio::select! {
        () = serve => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    // Calls in flight finish, then every child process is stopped and waited for.
    if timeout(Duration::from_secs(30), gateway.drain()).await.is_err() {
        gateway.registry().close().await;
    }
    Ok(())
}
