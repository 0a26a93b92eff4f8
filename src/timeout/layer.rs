use super::{Timeout, watch::Bounds};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
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
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    bounds: Bounds,
}

impl TimeoutLayer {
    /// How long a person may think about a server's question: as long as anyone looks at one before going for coffee.
    pub const ASK: Duration = Duration::from_secs(300);

    /// At most `idle` of silence and `total` in all.
    pub const fn new(idle: Duration, total: Duration) -> Self {
        Self { bounds: Bounds { idle, total, ask: Self::ASK, cut: None } }
    }

    /// How long a person may think about a server's question: [`ASK`](Self::ASK) unless set.
    #[must_use]
    pub fn ask_timeout(mut self, ask: Duration) -> Self {
        self.bounds.ask = ask;
        self
    }

    /// Ends all calls in flight with an error once `cut` is cancelled, and each later one as soon as it has to wait:
    /// the end of a gateway whose calls do not end by themselves.
    ///
    /// ```
    /// use std::{future::pending, time::Duration};
    /// use tokio_util::sync::CancellationToken;
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_mcp_gateway::{BoxError, Call, Method, Reply, error::explain, json::Params, timeout::TimeoutLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cut = CancellationToken::new();
    /// let layer = TimeoutLayer::new(Duration::from_secs(30), Duration::from_secs(300)).cut(cut.clone());
    /// let hung = layer.layer(service_fn(|_: Call| pending::<Result<Reply, BoxError>>()));
    /// cut.cancel();
    /// let error = hung.oneshot(Call::new(Method::PING, Params::empty())).await.unwrap_err();
    /// assert_eq!(explain(&*error).status, 503);
    /// # }
    /// ```
    #[must_use]
    pub fn cut(mut self, cut: CancellationToken) -> Self {
        self.bounds.cut = Some(cut);
        self
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout::bounded(inner, self.bounds.clone())
    }
}
