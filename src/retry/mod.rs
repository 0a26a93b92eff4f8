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
///
/// For pools whose calls must not run twice under any circumstances; the [module](self) shows one at work.
pub fn layer() -> RetryLayer {
    tower::retry::RetryLayer::new(NeverSent::default())
}

/// [`layer`], which also repeats a call that was sent, once, if `marks` holds its tool; see [`Idempotent`].
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, retry::{Marks, idempotent}, upstream::error::Closed};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// static SENT: AtomicUsize = AtomicUsize::new(0);
/// let lost = service_fn(async |_: Call| {
///     SENT.fetch_add(1, Ordering::Relaxed);
///     Err::<Reply, BoxError>(Closed { sent: true }.into())
/// });
/// let marks = Marks::default();
/// marks.set(["search"]);
/// let pool = idempotent(marks).layer(lost);
/// for (tool, attempts) in [("search", 2), ("send_mail", 1)] {
///     let params = Params::from_value(&serde_json::json!({"name": tool}))?;
///     assert!(pool.clone().oneshot(Call::new(Method::TOOLS_CALL, params)).await.is_err());
///     assert_eq!(SENT.swap(0, Ordering::Relaxed), attempts);
/// }
/// # Ok(()) }
/// ```
pub fn idempotent(marks: Marks) -> tower::retry::RetryLayer<Idempotent> {
    tower::retry::RetryLayer::new(Idempotent::new(marks))
}
