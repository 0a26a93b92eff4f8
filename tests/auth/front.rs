//! A gateway to test, in an axum app, and clients with tokens.

use crate::support::{
    PATIENCE,
    clients::{Answer, Raw, modern},
    servers::{Kind, Running},
};
use axum::Router;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tower_mcp_gateway::{
    Gateway,
    auth::{AuthLayer, Token},
    config::Config,
    registry::Server,
};

/// A gateway that serves until it is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
    _tasks: JoinSet<()>,
}

impl Front {
    pub(crate) async fn with(servers: Vec<Server>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("guarded");
        config.health_check_interval = Duration::from_millis(200);
        config.start_patience = PATIENCE;
        config.servers = servers;
        change(&mut config);
        let (gateway, driver) = Gateway::from_config(config).expect("a configuration that holds");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let app = Router::new().fallback_service(gateway.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        tasks.spawn(async move { axum::serve(listener, app).await.expect("axum serves for ever") });
        Self { address, gateway, _tasks: tasks }
    }

    /// Asks as a client of 2026-07-28 with these headers.
    pub(crate) async fn ask(&self, headers: &[(&str, &str)], method: &str, params: Value) -> Answer {
        let (mut own, message) = modern(json!(1), method, params);
        own.extend(headers.iter().map(|(name, value)| (leaked(name), (*value).to_owned())));
        let own: Vec<_> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Raw::post(self.address, "/mcp", &own, &message).await.collect().await
    }

    /// Posts a message of an earlier revision.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], message: &Value) -> Answer {
        Raw::post(self.address, path, headers, message).await.collect().await
    }
}

/// A header's name that lives as long as the test.
fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

/// Somebody with a token.
pub(crate) struct Client {
    pub(crate) token: Token,
    pub(crate) header: String,
}

impl Client {
    pub(crate) fn new(name: &str) -> Self {
        let secret = Token::generate().unwrap();
        Self { token: Token::new(name, &secret).unwrap(), header: format!("Bearer {secret}") }
    }

    pub(crate) fn header(&self) -> (&str, &str) {
        ("authorization", &self.header)
    }
}

/// A layer that knows these.
pub(crate) fn only(clients: &[&Client]) -> AuthLayer {
    clients.iter().fold(AuthLayer::required(), |layer, client| layer.token(client.token.clone()))
}

/// A running server as an entry of a gateway's configuration.
pub(crate) fn entry(id: &str, name: &str, server: &Running) -> Server {
    let entry = match server.kind {
        Kind::Sse => Server::sse(id, name, &server.url()),
        _ => Server::http(id, name, &server.url()),
    };
    entry.expect("a URL of our own")
}

/// `initialize` of an earlier revision.
pub(crate) fn initialize() -> Value {
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}

pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}
