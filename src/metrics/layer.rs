use super::{Metrics, Tally};
use tower::Layer;

/// Counts the calls that are in flight, and those that end with an error of the gateway's own.
///
/// It belongs right behind the edge: only there is every failure seen once, after all repetitions.
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, load_shed::error::Overloaded, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, metrics::{Count, Metrics, TallyLayer}};
///
/// # tokio_test::block_on(async {
/// let metrics = Metrics::default();
/// let full = service_fn(async |_: Call| Err::<Reply, BoxError>(Overloaded::new().into()));
/// let service = ServiceBuilder::new().layer(TallyLayer::new(metrics.clone())).service(full);
/// service.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await.unwrap_err();
/// assert_eq!(metrics.get(Count::Overloaded), 1);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct TallyLayer {
    metrics: Metrics,
}

impl TallyLayer {
    /// Counts in `metrics`.
    pub const fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for TallyLayer {
    type Service = Tally<S>;

    fn layer(&self, inner: S) -> Tally<S> {
        Tally::new(inner, self.metrics.clone())
    }
}
