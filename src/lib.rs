//! Many MCP servers behind one endpoint: a Model Context Protocol gateway as a tower middleware stack.
//!
//! A client connects once and sees the tools, prompts and resources of every server; each server is still developed,
//! deployed and scaled on its own. Servers may be child processes, HTTP+SSE servers of 2024-11-05 and Streamable HTTP
//! servers of any revision; so may clients. Servers of one name are replicas: calls are balanced over those that are well.
//!
//! # Who wants it as it is documented
//!
//! [`Gateway::from_config`] gives one service to mount, and a driver to spawn:
//!
//! ```
//! use tower_mcp_gateway::{Gateway, config::Config};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = r#"{
//!     "name": "my-gateway",
//!     "mcpServers": { "files": { "type": "sse", "url": "http://localhost:3520" } }
//! }"#;
//! let (gateway, driver) = Gateway::from_config(Config::parse(config, |name| std::env::var(name).ok())?)?;
//! tokio::spawn(driver);
//! let app: axum::Router = axum::Router::new().route_service("/mcp", gateway);
//! # drop(app); Ok(()) }
//! ```
//!
//! # Who wants to compose
//!
//! The same gateway is one expression of layers, and middleware of your own goes between any two of them:
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceBuilder, load_shed::LoadShedLayer};
//! use tower_mcp_gateway::{
//!     catalog::CatalogLayer, edge::EdgeLayer, limit::LimitLayer, origin::OriginLayer, route::Route,
//!     balance::Strategy, registry::{Registry, Server}, subscribe::SubscribeLayer, timeout::TimeoutLayer,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (registry, driver) = Registry::builder()
//!     .strategy(Strategy::RoundRobin)
//!     .probe_every(Duration::from_secs(15))
//!     .endpoint(|_: &Server, upstream| ServiceBuilder::new()     // middleware per server goes here
//!         .layer(LimitLayer::new(100))
//!         .service(upstream))
//!     .build();
//! tokio::spawn(driver);
//! registry.register(Server::sse("search-1", "search", "http://localhost:3510")?)?;
//! registry.register(Server::stdio("analytics-1", "analytics", "analytics-server"))?;
//!
//! let gateway = ServiceBuilder::new()
//!     .layer(OriginLayer::localhost())               // DNS rebinding
//!     .layer(EdgeLayer::new())                       // http::Request → Call, Reply → http::Response
//!     .layer(CatalogLayer::new(registry.tables()))   // tools/list …, answered here, never behind a slow server
//!     .layer(SubscribeLayer::new(registry.tables().versions()).resources(registry.hub()))   // what changes, as long streams
//!     .layer(LoadShedLayer::new())                   // full? say so now
//!     .layer(LimitLayer::new(512))                   // calls in flight, counted to their last event
//!     .layer(TimeoutLayer::new(Duration::from_secs(30), Duration::from_secs(300)))   // longest silence, longest total
//!     .service(Route::new(registry.tables()));       // tools/call … to a pool
//!
//! let app: axum::Router = axum::Router::new().route_service("/mcp", gateway);
//! # drop(app); Ok(()) }
//! ```
//!
//! # The way of a call
//!
//! ```text
//! edge stack, one per mount    Origin ─ Auth ─ Edge ─ Tally ─ Quota ─ Catalog ─ Subscribe ─ Filter ─ LoadShed ─ Limit ─ Timeout ─ Route
//! pool stack, one per name                                                                                   Route ─▶ Retry ─ Balance
//! endpoint stack, one per id                            Balance ─▶ Rate ─ Observe ─ LoadShed ─ Limit ─ Era ─ transport
//! ```
//!
//! [origin] and [auth] look at HTTP; the [edge] ends it; [policy] and [metrics] count calls; the [catalog] answers lists and
//! [subscribe] makes streams of what changes; [limit] and [timeout] bound the rest, and [route] finds the pool of a name.
//! There [retry] and [balance] choose a server, whose [health] is known; [rate], [health::observe] and [limit] stand before
//! it, and [upstream] speaks its revision over its transport. `docs/architecture.md` has the drawing, with what each layer
//! may answer by itself; `docs/writing-a-layer.md` puts one of your own between two of them.
//!
//! HTTP stops at the [edge]. Behind it everything is `Service<Call, Response = Reply, Error = BoxError>`: a [`Call`] is
//! complete in itself, in the shape of revision 2026-07-28, and a [`Reply`] is one outcome, perhaps after other events.
//! Ids, session headers, handshakes and progress tokens belong to a hop: the edge and the [transports](upstream) mint and
//! strip them, and no layer between sees one. Dropping a reply cancels the call, with no other signal.
//!
//! What calls read, the [routing table](route::Table) and each pool's members, is an immutable snapshot behind one atomic
//! load. What changes it, the [registry], [health checks](health) and [listings](catalog), are plain futures in the
//! registry's driver.
//!
//! A failure is of one of two planes. A JSON-RPC error *from the server* is a reply like any other. A [`BoxError`] means
//! that the gateway has no answer; [`error::explain`] is the one place that words it for clients.
//!
//! # Features
//!
//! All are on by default; a library user takes what it needs with `default-features = false`.
//!
//! | feature | what it adds |
//! |---|---|
//! | `stdio` | child processes as servers, and [the gateway as one](edge::Edge::serve_stdio) |
//! | `sse` | HTTP+SSE servers (2024-11-05) |
//! | `http` | Streamable HTTP servers |
//! | `legacy` | clients that open with `initialize` |
//! | `tls` | `https://` servers, and with `cli` TLS at the program's own port |
//! | `oauth` | access tokens of an authorization server, and signing in at servers that ask for it |
//! | `metrics` | what the gateway counts, as Prometheus text |
//! | `cli` | the `tower-mcp-gateway` command |

/// The examples of the README and of the pages compile.
#[cfg(all(doctest, feature = "cli"))]
pub mod pages {
    #[doc = include_str!("../README.md")]
    pub struct Readme;
    #[doc = include_str!("../docs/writing-a-layer.md")]
    pub struct WritingALayer;
}

mod atomic;
pub mod auth;
pub mod balance;
pub mod call;
pub mod catalog;
#[cfg(feature = "_client")]
mod chunked;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
pub mod config;
pub mod edge;
pub mod error;
mod field;
mod gateway;
mod glob;
mod header;
pub mod health;
#[cfg(any(feature = "legacy", feature = "cli"))]
mod hex;
mod identity;
pub mod json;
pub mod limit;
pub mod load;
pub mod meta;
mod method;
pub mod metrics;
mod moment;
mod nearest;
pub mod oauth;
pub mod origin;
mod param_headers;
pub mod pin;
pub mod policy;
mod rare;
pub mod rate;
pub mod registry;
pub mod reply;
pub mod retry;
mod revision;
pub mod route;
pub mod seal;
mod session;
pub mod sse;
pub mod subscribe;
pub mod timeout;
mod timer;
pub mod toolset;
pub mod upstream;

pub use self::{
    call::{Call, EndpointId, Providers, ServerName},
    error::BoxError,
    gateway::{Gateway, Reloaded, Stack},
    glob::Glob,
    method::Method,
    param_headers::ParamHeaders,
    reply::Reply,
    revision::{Revision, UnknownRevision},
    session::Session,
};
