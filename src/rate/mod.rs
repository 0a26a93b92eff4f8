//! So many calls in a time, and no more.
//!
//! A server of one's own can bear what its machine can; a hosted one often has a contract ("60 requests per minute") and
//! answers the next with 429. [`Rate`] keeps a server within its [`Quota`], so that the gateway refuses what the server
//! would refuse, tells when to come again, and a replica can take the call instead.
//!
//! ```
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mcp_gateway::{BoxError, Call, Method, Reply, error::explain, json::Params, rate::RateLayer, reply::Outcome};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let server = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
//! let server = RateLayer::new("2/min".parse()?).layer(server);
//! let call = || Call::new(Method::PING, Params::empty());
//! assert!(server.clone().oneshot(call()).await.is_ok() && server.clone().oneshot(call()).await.is_ok());
//! let problem = explain(&*server.oneshot(call()).await.unwrap_err());
//! assert_eq!((problem.code, problem.retry_after.unwrap().as_secs()), (429, 29));
//! # Ok(()) }
//! ```
//!
//! # Differences from `tower::limit::RateLimit`
//!
//! tower's makes callers wait until a new period begins, each clone by itself. Here all clones share one count, and a
//! call beyond it is refused at once: whoever calls tools can do something else meanwhile, and a queue would only hide
//! that it grows.

mod bucket;
pub mod error;
pub mod future;
mod layer;
mod quota;
mod service;

pub use self::{bucket::Bucket, layer::RateLayer, quota::Quota, service::Rate};
