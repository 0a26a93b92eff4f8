use super::{Gauge, Metrics, future::ResponseFuture};
use crate::{BoxError, Call, Method, Reply};
use std::task::{Context, Poll};
use tower::Service;

/// Counts the calls that are in flight, and those that end with an error of the gateway's own; made by
/// [`TallyLayer`](super::TallyLayer).
///
/// Listening for changes, which lasts for as long as a client likes, is no call in flight.
#[derive(Clone, Debug)]
pub struct Tally<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Tally<S> {
    /// Counts in `metrics`.
    pub const fn new(inner: S, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service, uncounted.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Call> for Tally<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let held = (call.method != Method::LISTEN).then(|| self.metrics.hold(Gauge::Calls));
        ResponseFuture::new(self.inner.call(call), self.metrics.clone(), held)
    }
}
