//! Balancing calls over the endpoints of one pool.
//!
//! [`balance`] splits a pool in two, as hyper's `handshake` does a connection: the [`Balance`] that callers clone, and the
//! [`Driver`] that follows a [`Discover`](tower::discover::Discover) and must be spawned. The driver publishes what it
//! knows as one immutable snapshot; the service loads it, lets the [`Policy`] pick with the call in hand,
//! and sends the call to a clone of what was picked.
//!
//! # A pool of one endpoint, in full
//!
//! ```
//! use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, reply::Outcome, retry};
//! use tower_mcp_gateway::balance::{Patience, balance, policy::Strategy};
//! use tower_mcp_gateway::health::{Board, Healthy, Probe, observe::ObserveLayer};
//! use tower_mcp_gateway::limit::LimitLayer;
//! use tower_mcp_gateway::load::{Meter, Metered};
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt, discover::Change, load_shed::LoadShedLayer, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let raw = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
//!
//! let board = Board::default();
//! let vital = board.endpoint(&"search-1".into());
//! tokio::spawn(Probe::new(raw, vital.clone(), Duration::from_secs(15)).run());     // below the limit
//! let stack = ServiceBuilder::new()
//!     .layer(ObserveLayer::new(vital.clone()))
//!     .layer(LoadShedLayer::new())
//!     .layer(LimitLayer::new(100))
//!     .service(raw);
//! let member = Metered::new(stack, Meter::with_vital(1, vital));
//!
//! let discover = futures_util::stream::iter([Ok::<_, BoxError>(Change::Insert("search-1".into(), member))]);
//! let healthy = Healthy::new(discover, board.subscribe());
//! let (balance, driver) = balance("search".into(), healthy, Strategy::RoundRobin, Patience::default());
//! tokio::spawn(driver);
//! let pool = ServiceBuilder::new().layer(retry::layer()).service(balance);
//!
//! // Waits for the first health check rather than fail.
//! assert!(pool.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await.is_ok());
//! # }
//! ```
//!
//! # Differences from `tower::balance::p2c`
//!
//! tower's balancer picks an endpoint before it sees the request, and must be shared through a
//! [`Buffer`](https://docs.rs/tower/0.5/tower/buffer/index.html), which costs a hop to a worker per call. It also waits
//! for ever on an empty set. The parts are the same: any `Discover` goes in here, and
//! [`Metered`](crate::load::Metered) services work in tower's balancer as well.

mod candidates;
mod driver;
pub mod error;
pub mod future;
mod members;
mod patience;
pub mod policy;
mod queued;
mod service;
mod tried;
mod turn;
mod vacancy;

pub(crate) use self::queued::Queued;
pub use self::{
    candidates::Candidates,
    driver::Driver,
    members::Member,
    patience::Patience,
    policy::{Policy, Strategy},
    service::{Balance, balance},
    tried::Tried,
    turn::Turn,
    vacancy::Vacancy,
};
