use super::{future::ResponseFuture, witness::Witness};
use crate::{BoxError, Call, Method, Reply, health::Vital, metrics::Calls};
use std::task::{Context, Poll};
use tower::Service;

/// Watches calls to their last event, and refuses them while the endpoint's breaker is open.
///
/// | how a call ends | what it says |
/// |---|---|
/// | an outcome, also a JSON-RPC error or `isError` | the server works |
/// | an error of the connection ([`is_connection`](crate::error::is_connection)) | it is gone: out at once and probed at once, and a failure |
/// | another error; silence until a deadline ([`Lapse`](crate::timeout::Lapse)) | a failure: five in a row open the breaker |
/// | dropped by the client, shed, refused by another layer of the gateway | nothing |
///
/// An open breaker stays so for 1 s, then twice as long each time, up to 30 s (±10 %). Half-open, it admits one call; the
/// others get [`Open`](crate::health::error::Open), which never reached the server and so may be sent elsewhere. The
/// first thing the server says in that one call closes the breaker.
///
/// Pings pass unobserved: they belong to the [`Probe`](crate::health::Probe).
#[derive(Clone, Debug)]
pub struct Observe<S> {
    inner: S,
    vital: Vital,
    calls: Calls,
}

impl<S> Observe<S> {
    /// Reports to `vital`, and counts in `calls`.
    pub const fn new(inner: S, vital: Vital, calls: Calls) -> Self {
        Self { inner, vital, calls }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service, unobserved.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Call> for Observe<S>
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

    fn call(&mut self, call: Call) -> Self::Future {
        if call.method == Method::PING {
            return ResponseFuture::new(self.inner.call(call), None);
        }
        match Witness::admit(&self.vital, &self.calls, &call) {
            Ok(witness) => ResponseFuture::new(self.inner.call(call), Some(witness)),
            Err(open) => ResponseFuture::refused(open),
        }
    }
}
