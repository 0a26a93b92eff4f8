use crate::{BoxError, Call, timeout::error::Stopping};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tower::filter::Predicate;

/// Lets calls in until it is closed: a predicate for [`FilterLayer`](tower::filter::FilterLayer).
///
/// A service that ends is not full: whoever comes too late is told so, and operators who look for calls that found no room
/// are not misled by each restart. Clones are closed together.
///
/// ```
/// use tower::{Layer, ServiceExt, filter::FilterLayer, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, limit::Open, reply::Outcome};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let open = Open::new();
/// let server = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
/// let server = FilterLayer::new(open.clone()).layer(server);
/// let call = || Call::new(Method::PING, Params::empty());
/// assert!(server.clone().oneshot(call()).await.is_ok());
/// open.close();
/// assert_eq!(server.oneshot(call()).await.unwrap_err().to_string(), "the gateway is shutting down");
/// # }
/// ```
///
/// # Errors
///
/// [`Stopping`] for each call once it is closed.
#[derive(Clone, Debug)]
pub struct Open(Arc<AtomicBool>);

impl Open {
    /// One that lets calls in.
    pub fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Lets none in from now on.
    pub fn close(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Default for Open {
    fn default() -> Self {
        Self::new()
    }
}

impl Predicate<Call> for Open {
    type Request = Call;

    fn check(&mut self, call: Call) -> Result<Call, BoxError> {
        match self.0.load(Ordering::Relaxed) {
            true => Ok(call),
            false => Err(Stopping(()).into()),
        }
    }
}
