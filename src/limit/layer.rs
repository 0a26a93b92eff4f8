use super::Limit;
use tower::Layer;

/// Bounds the calls in flight of the service it wraps.
///
/// Each [`layer`](Layer::layer) makes a bound of its own, which all clones of that service share.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, Reply, json::Params, limit::LimitLayer, reply::Outcome};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(LimitLayer::new(100))
///     .service(service_fn(async |_: Call| Ok::<_, std::convert::Infallible>(Reply::single(Outcome::Accepted))));
/// let reply = service.oneshot(Call::new(Method::PING, Params::empty())).await.unwrap();
/// assert!(reply.as_single().is_some());
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LimitLayer {
    max: usize,
}

impl LimitLayer {
    /// At most `max` calls in flight. With 0, no call ever gets through.
    pub const fn new(max: usize) -> Self {
        Self { max }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limit::new(inner, self.max)
    }
}
