use super::{Account, ResponseFuture};
use crate::{BoxError, Call, Method, Reply};
use std::task::{Context, Poll};
use tower::Service;

/// Refuses what a principal asks beyond its allowance; made by [`QuotaLayer`](super::QuotaLayer).
///
/// A call counts as in flight to the last event of its reply. A stream that only listens counts as a request, and not as a
/// call in flight.
///
/// # Errors
///
/// 429 with `Retry-After`, or what the inner service fails with.
#[derive(Clone, Debug)]
pub struct Quota<S> {
    inner: S,
}

impl<S> Quota<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S> Service<Call> for Quota<S>
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

    fn call(&mut self, call: Call) -> ResponseFuture<S::Future> {
        let Some(account) = call.extensions.get::<Account>() else {
            return ResponseFuture::admitted(self.inner.call(call), None);
        };
        match account.enter(call.method != Method::LISTEN) {
            Ok(permit) => ResponseFuture::admitted(self.inner.call(call), permit),
            Err(refused) => ResponseFuture::refused(refused),
        }
    }
}
