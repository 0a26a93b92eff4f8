use super::{Bucket, future::ResponseFuture};
use crate::BoxError;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Refuses a call beyond its quota with [`Exceeded`](super::error::Exceeded); passes all others on.
///
/// Without a quota it costs one comparison. Readiness is the inner service's: a call is counted when it is made, not
/// when it is prepared.
///
/// # Errors
///
/// [`Exceeded`](super::error::Exceeded), or what the inner service fails with.
#[derive(Clone, Debug)]
pub struct Rate<S> {
    inner: S,
    bucket: Option<Arc<Bucket>>,
}

impl<S> Rate<S> {
    /// Calls out of `bucket`, which others may share; any number without one.
    pub const fn new(inner: S, bucket: Option<Arc<Bucket>>) -> Self {
        Self { inner, bucket }
    }

    /// The wrapped service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service, without the quota.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Request> Service<Request> for Rate<S>
where
    S: Service<Request>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> ResponseFuture<S::Future> {
        match self.bucket.as_ref().map(|bucket| bucket.take()) {
            Some(Err(exceeded)) => ResponseFuture::refused(exceeded),
            _ => ResponseFuture::inner(self.inner.call(request)),
        }
    }
}
