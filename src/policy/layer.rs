use super::Quota;
use tower::Layer;

/// Keeps each principal within its [`Policy`](super::Policy): requests in a time, calls in flight. Costs one look into the
/// call's extensions where a principal has none.
///
/// It stands behind the edge and what counts, before anything that answers, so that each message of a batch counts, and lists do as well as calls.
///
/// A call of no principal is not counted, so the layer can stand in a gateway that asks nobody who it is:
///
/// ```
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, policy::QuotaLayer, reply::Outcome};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let behind = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
/// let service = QuotaLayer::new().layer(behind);
/// assert!(service.oneshot(Call::new(Method::PING, Params::empty())).await.is_ok());
/// # }
/// ```
///
/// # Errors
///
/// See [`Quota`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct QuotaLayer;

impl QuotaLayer {
    /// The layer; what is allowed comes with each call.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for QuotaLayer {
    type Service = Quota<S>;

    fn layer(&self, inner: S) -> Quota<S> {
        Quota::new(inner)
    }
}
