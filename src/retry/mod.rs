//! Calls repeated where that runs nothing twice.
//!
//! [`layer`] is tower's [`RetryLayer`](tower::retry::RetryLayer) with the [`NeverSent`] policy. Put it around a
//! [`Balance`](crate::balance::Balance), which then prefers the endpoints that have not failed this call.
//!
//! Pools of a registry use [`idempotent`] instead, which is the same until an operator [opts
//! in](crate::registry::Resend) for a server: then a call that was sent is repeated too, if its tool says that running it
//! twice does no harm.
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

mod idempotent;
mod marks;
mod policy;

pub use self::{idempotent::Idempotent, marks::Marks, policy::NeverSent};

/// tower's retry service with our policy.
pub type Retry<S> = tower::retry::Retry<NeverSent, S>;

/// tower's retry layer with our policy.
pub type RetryLayer = tower::retry::RetryLayer<NeverSent>;

/// Repeats calls that were certainly never sent, at most twice each.
pub fn layer() -> RetryLayer {
    tower::retry::RetryLayer::new(NeverSent::default())
}

/// [`layer`], which also repeats a call that was sent, once, if `marks` holds its tool; see [`Idempotent`].
pub fn idempotent(marks: Marks) -> tower::retry::RetryLayer<Idempotent> {
    tower::retry::RetryLayer::new(Idempotent::new(marks))
}
