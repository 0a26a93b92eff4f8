//! Calls repeated where that runs nothing twice.
//!
//! [`layer`] is tower's [`RetryLayer`](tower::retry::RetryLayer) with the [`NeverSent`] policy. Put it around a
//! [`Balance`](crate::balance::Balance), which then prefers the endpoints that have not failed this call.
//!
//! ```
//! use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, reply::Outcome, retry, upstream::error::Closed};
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! static CALLS: AtomicUsize = AtomicUsize::new(0);
//! let flaky = service_fn(async |_: Call| match CALLS.fetch_add(1, Ordering::Relaxed) {
//!     0 => Err(BoxError::from(Closed { sent: false })),
//!     _ => Ok(Reply::single(Outcome::Accepted)),
//! });
//! let service = ServiceBuilder::new().layer(retry::layer()).service(flaky);
//! assert!(service.oneshot(Call::new(Method::PING, Params::empty())).await.is_ok());
//! # }
//! ```

mod policy;

pub use self::policy::NeverSent;

/// tower's retry service with our policy.
pub type Retry<S> = tower::retry::Retry<NeverSent, S>;

/// tower's retry layer with our policy.
pub type RetryLayer = tower::retry::RetryLayer<NeverSent>;

/// Repeats calls that were certainly never sent, at most twice each.
pub fn layer() -> RetryLayer {
    tower::retry::RetryLayer::new(NeverSent::default())
}
