use super::Observe;
use crate::{health::Vital, metrics::Calls};
use tower::Layer;

/// Reports how calls end to the endpoint's [`Vital`].
///
/// ```
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, upstream::error::Closed};
/// use tower_mcp_gateway::health::{Board, Verdict, observe::ObserveLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let board = Board::default();
/// let dead = service_fn(async |_: Call| Err::<Reply, BoxError>(Closed { sent: true }.into()));
/// let service = ServiceBuilder::new().layer(ObserveLayer::new(board.endpoint(&"search-1".into()))).service(dead);
/// let _ = service.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await;
/// assert!(matches!(board.verdict("search-1"), Verdict::Ill(_)));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ObserveLayer {
    vital: Vital,
    calls: Calls,
}

impl ObserveLayer {
    /// Reports to `vital`.
    pub fn new(vital: Vital) -> Self {
        Self { vital, calls: Calls::default() }
    }

    /// Also counts them in `calls`.
    #[must_use]
    pub fn calls(mut self, calls: Calls) -> Self {
        self.calls = calls;
        self
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.vital.clone(), self.calls.clone())
    }
}
