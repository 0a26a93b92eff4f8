//! An axum application that already exists gains `/mcp`.
//!
//! ```sh
//! cargo run --example axum_mount
//! curl -s localhost:3000/            # the application, as before
//! curl -s localhost:3000/servers     # what the gateway knows of its servers
//! ```
//!
//! MCP clients connect to `http://localhost:3000/mcp`, those of 2024-11-05 to `http://localhost:3000/mcp/sse`.

use axum::{Json, Router, extract::State, routing::get};
use std::error::Error;
use tower_mcp_gateway::{
    Gateway,
    config::Config,
    registry::{Entry, Registry, Server},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::new("axum-mount");
    config.servers.push(Server::sse("search-1", "search", "http://localhost:3510")?);
    config.servers.push(Server::sse("files-1", "files", "http://localhost:3520")?);
    let (gateway, driver) = Gateway::from_config(config)?;
    tokio::spawn(driver);

    let app = Router::new()
        .route("/", get(|| async { "the application\n" }))
        .route("/servers", get(servers))
        .with_state(gateway.registry().clone())
        // One service, three paths: clones share their sessions.
        .route_service("/mcp", gateway.clone())
        .route_service("/mcp/sse", gateway.clone())
        .route_service("/mcp/messages", gateway.clone());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let end = async move {
        let _ = tokio::signal::ctrl_c().await;
        // Calls in flight finish and children are stopped, while axum still delivers the answers.
        gateway.drain().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(end).await?;
    Ok(())
}

async fn servers(State(registry): State<Registry>) -> Json<Vec<Entry>> {
    Json(registry.list())
}
