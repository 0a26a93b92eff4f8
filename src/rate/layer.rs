use super::{Bucket, Quota, Rate};
use std::sync::Arc;
use tower::Layer;

/// Refuses calls beyond a [`Quota`], counted over everything that one layer wraps.
///
/// Two ways to one server thus share what it can bear; the [module](super) shows what a client is told.
///
/// ```
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::rate::RateLayer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = RateLayer::new("1/h".parse()?);
/// let server = || layer.layer(service_fn(async |_: ()| Ok::<_, std::io::Error>("done")));
/// assert!(server().oneshot(()).await.is_ok());
/// assert!(server().oneshot(()).await.is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RateLayer {
    bucket: Option<Arc<Bucket>>,
}

impl RateLayer {
    /// At most so many calls.
    pub fn new(quota: Quota) -> Self {
        Self::optional(Some(quota))
    }

    /// At most so many calls, or any number of them: one type for both, as for servers of which some have a quota.
    pub fn optional(quota: Option<Quota>) -> Self {
        Self { bucket: quota.map(|quota| Arc::new(Bucket::new(quota))) }
    }
}

impl<S> Layer<S> for RateLayer {
    type Service = Rate<S>;

    fn layer(&self, inner: S) -> Rate<S> {
        Rate::new(inner, self.bucket.clone())
    }
}
