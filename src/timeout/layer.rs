use super::Timeout;
use std::time::Duration;
use tower::Layer;

/// Ends calls that are silent for too long, or take too long in all.
///
/// ```
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, error::find, json::Params};
/// use tower_mcp_gateway::timeout::{TimeoutLayer, error::Elapsed};
/// use std::{future::pending, time::Duration};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(TimeoutLayer::new(Duration::from_millis(5), Duration::from_secs(300)))
///     .service(service_fn(|_: Call| pending::<Result<Reply, BoxError>>()));
/// let error = service.oneshot(Call::new(Method::PING, Params::empty())).await.unwrap_err();
/// assert!(find::<Elapsed>(&*error).is_some());
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    idle: Duration,
    total: Duration,
}

impl TimeoutLayer {
    /// At most `idle` of silence and `total` in all.
    pub const fn new(idle: Duration, total: Duration) -> Self {
        Self { idle, total }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout::new(inner, self.idle, self.total)
    }
}
