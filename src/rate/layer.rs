use super::{Bucket, Quota, Rate};
use std::sync::Arc;
use tower::Layer;

/// Refuses calls beyond a [`Quota`], counted over everything that one layer wraps.
///
/// See the [module](super) for an example.
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
