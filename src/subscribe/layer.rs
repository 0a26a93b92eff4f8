use super::{Hub, Subscribe, places::Places};
use crate::{metrics::Metrics, route::Versions};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::Layer;

/// Answers `subscriptions/listen`; see [`Subscribe`].
///
/// All services of one layer, and all their clones, share its bound.
///
/// ```
/// use futures_util::StreamExt;
/// use tokio_util::sync::CancellationToken;
/// use tower::{Layer, ServiceExt};
/// use tower_mcp_gateway::{
///     BoxError, Call, Method, json::Params, reply::Event, route::{Route, Table, Tables}, subscribe::SubscribeLayer,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let tables = Tables::new(Table::default());
/// let drain = CancellationToken::new();
/// let layer = SubscribeLayer::new(tables.versions()).max_streams(100).shutdown(drain.clone());
/// let listen = Call::new(Method::LISTEN, Params::from_value(&serde_json::json!({"notifications": {}}))?);
/// let mut events = layer.layer(<Route>::new(tables)).oneshot(listen).await?.into_events();
///
/// assert!(matches!(events.next().await, Some(Ok(Event::Note(_)))), "the acknowledgement");
/// drain.cancel();
/// assert!(matches!(events.next().await, Some(Ok(Event::Done(_)))), "and a graceful end");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SubscribeLayer {
    pub(super) versions: watch::Receiver<Versions>,
    pub(super) places: Arc<Places>,
    pub(super) shutdown: CancellationToken,
    pub(super) hub: Option<Hub>,
    pub(super) metrics: Metrics,
}

impl SubscribeLayer {
    /// How many streams there may be at once unless set: enough for ten thousand idle clients and some that are just
    /// coming back, at some hundred bytes each.
    pub const MAX_STREAMS: usize = 16_384;

    /// Tells of changes of `versions`: those of the [`Tables`](crate::route::Tables) that are listed from.
    pub fn new(versions: watch::Receiver<Versions>) -> Self {
        let places = Places::new(Self::MAX_STREAMS);
        Self { versions, places, shutdown: CancellationToken::new(), hub: None, metrics: Metrics::default() }
    }

    /// Allows at most `limit` streams at once; one more is refused with 503.
    ///
    /// So is one of a [principal](crate::auth::Principal) that has three quarters of them, or more than three times what is
    /// left to others. A fleet that comes under one name needs a third more than it has clients.
    #[must_use]
    pub fn max_streams(mut self, limit: usize) -> Self {
        self.places = Places::new(limit);
        self
    }

    /// Honours subscriptions to single resources too, through this hub; without one they are absent from every
    /// acknowledgement.
    #[must_use]
    pub fn resources(mut self, hub: Hub) -> Self {
        self.hub = Some(hub);
        self
    }

    /// Counts its streams.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Ends all streams with a result once `shutdown` is cancelled: a client that is told so comes back elsewhere.
    #[must_use]
    pub fn shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }
}

impl<S> Layer<S> for SubscribeLayer {
    type Service = Subscribe<S>;

    fn layer(&self, inner: S) -> Subscribe<S> {
        Subscribe::new(inner, self.clone())
    }
}
