//! The stack a gateway is made of, over servers in memory.

#[path = "../support/fleet.rs"]
mod fleet;

mod bounds;
mod churn;
mod drain;
mod failover;
mod limits;
mod pins;
mod tools;
mod wire;

use fleet::{Fleet, server};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::time::Duration;
use tower::{Layer, ServiceBuilder, ServiceExt, load_shed::LoadShedLayer, util::BoxCloneSyncService};
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply,
    catalog::CatalogLayer,
    json::Params,
    limit::{Limit, LimitLayer},
    registry::{Builder, Registry, Server},
    reply::Outcome,
    route::Route,
    subscribe::SubscribeLayer,
    timeout::{Timeout, TimeoutLayer},
};

const SILENCE: Duration = Duration::from_secs(30);
const TOTAL: Duration = Duration::from_secs(300);
/// What counts as at once: paused time moves on by a millisecond with a timer.
const INSTANT: Duration = Duration::from_millis(5);

/// Everything behind the edge.
struct House {
    fleet: Fleet,
    registry: Registry,
    calls: Limit<Timeout<Route>>,
    stack: BoxCloneSyncService<Call, Reply, BoxError>,
}

impl House {
    /// A house of these servers, each `(id, name)`, all of which have answered or failed once.
    async fn of<const N: usize>(fleet: &Fleet, servers: [(&str, &str); N]) -> Self {
        let house = Self::begin(fleet, servers.map(|(id, name)| server(id, name)));
        house.registry.tables().settled().await;
        house
    }

    fn begin<const N: usize>(fleet: &Fleet, servers: [Server; N]) -> Self {
        let patience = if N == 0 { Duration::ZERO } else { Duration::from_secs(5) };
        Self::built(fleet, servers, Registry::builder().start_patience(patience))
    }

    fn built<const N: usize>(fleet: &Fleet, servers: [Server; N], builder: Builder) -> Self {
        let builder = builder.connect(fleet.connect());
        let builder = builder.endpoint(|_: &Server, connection| LimitLayer::new(100).layer(connection));
        let (registry, driver) = builder.build_with(servers).unwrap();
        tokio::spawn(driver);
        let tables = registry.tables();
        let timeout = TimeoutLayer::new(SILENCE, TOTAL).layer(<Route>::new(tables.clone()));
        let calls = LimitLayer::new(512).layer(timeout);
        let stack = ServiceBuilder::new()
            .layer(CatalogLayer::new(tables.clone()))
            .layer(SubscribeLayer::new(tables.versions()))
            .layer(LoadShedLayer::new())
            .service(calls.clone());
        Self { fleet: fleet.clone(), registry, calls, stack: BoxCloneSyncService::new(stack) }
    }

    fn send(&self, call: Call) -> BoxFuture<'static, Result<Reply, BoxError>> {
        Box::pin(self.stack.clone().oneshot(call))
    }

    /// The names of `tools/list`.
    async fn tools(&self) -> Vec<String> {
        let params = json!({"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }});
        let call = Call::new(Method::TOOLS_LIST, Params::from_value(&params).unwrap());
        let Outcome::Result(list) = self.send(call).await.unwrap().outcome().await.unwrap() else { panic!("a list") };
        let list: Value = list.read().unwrap();
        list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}
