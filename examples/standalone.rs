//! The whole program in about forty lines of library use: a gateway on a port, from a configuration file, that ends in
//! order on ctrl-c.
//!
//! ```sh
//! cargo run --example standalone -- my-servers.json
//! ```

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use std::{error::Error, time::Duration};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tower_mcp_gateway::{Gateway, config::Config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: standalone CONFIG.json")?;
    let config = Config::from_file(file)?;
    if config.tls.is_some() {
        return Err("this program serves plain HTTP: take `tls` out of the file, or run tower-mcp-gateway".into());
    }
    let listener = TcpListener::bind((config.host, config.port)).await?;
    println!("{} listens on http://{}/mcp", config.name, listener.local_addr()?);

    let (gateway, driver) = Gateway::from_config(config)?;
    tokio::spawn(driver);

    let connections = GracefulShutdown::new();
    tokio::select! {
        () = serve(&listener, &gateway, &connections) => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    drop(listener);
    // Calls in flight finish, then every child process is stopped and waited for, all within `drainTimeout`.
    gateway.drain().await;
    // A connection between two calls is closed at once; one whose client reads nothing is not waited for.
    let _ = timeout(Duration::from_secs(1), connections.shutdown()).await;
    Ok(())
}

async fn serve(listener: &TcpListener, gateway: &Gateway, connections: &GracefulShutdown) {
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                eprintln!("a connection was not accepted: {error}");
                // There may be no descriptor left: one comes free when a connection ends.
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(gateway.clone());
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection(TokioIo::new(connection), service).into_owned();
        tokio::spawn(connections.watch(connection));
    }
}
