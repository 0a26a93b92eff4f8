use super::{
    Lapse, TimeoutLayer,
    future::ResponseFuture,
    watch::{Bounds, Terms},
};
use crate::{BoxError, Call, Method, Reply};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{Layer, Service};

/// Ends a call with [`Elapsed`](super::error::Elapsed): as its error before the head, as the last event after it.
///
/// The clock starts with `call`; waiting for readiness is not counted. Whatever the layers behind do (retries, a wait
/// for an endpoint) happens within the same deadline.
///
/// An answer counts if it is there when the call is looked at, even if that is late: a busy gateway does not throw away
/// what a server did in time. Where dozens of events are there before it, the longest total counts as well, because there may
/// be no end to them. Silence is measured between whole events, so a server that sends one byte at a time, or
/// comments to keep a connection open, is silent.
///
/// # Errors
///
/// [`Elapsed`](super::error::Elapsed), [`Stopping`](super::error::Stopping) if it was [cut](super::TimeoutLayer::cut), or what the inner service fails with.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S> Timeout<S> {
    /// At most `idle` of silence and `total` in all; [`TimeoutLayer`](super::TimeoutLayer) sets more.
    pub fn new(inner: S, idle: Duration, total: Duration) -> Self {
        TimeoutLayer::new(idle, total).layer(inner)
    }

    pub(super) fn bounded(inner: S, bounds: Bounds) -> Self {
        Self { inner, bounds: Arc::new(bounds) }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service, without deadlines.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Call> for Timeout<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        if call.method == Method::LISTEN {
            return ResponseFuture::unbounded(self.inner.call(call));
        }
        let lapse = Lapse::default();
        call.lapse = Some(lapse.clone());
        let terms = Terms::new(self.bounds.clone(), lapse);
        ResponseFuture::new(self.inner.call(call), terms)
    }
}
