use super::Quota;
use tower::Layer;

/// Keeps each principal within its [`Policy`](super::Policy): requests in a time, calls in flight. Costs one look into the
/// call's extensions where a principal has none.
///
/// It stands behind the edge and what counts, before anything that answers, so that each message of a batch counts, and lists do as well as calls.
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
