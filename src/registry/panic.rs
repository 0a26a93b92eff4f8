use crate::{BoxError, Call, Reply};
use futures_util::{FutureExt, future::CatchUnwind};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower::Service;

/// Makes a panic of middleware or of a connection of one's own the error of the call that met it, so that neither the
/// client's connection nor another call ends with it.
#[derive(Clone, Debug)]
pub(super) struct Caught<S>(pub(super) S);

/// The panic's message is not part of it: the panic hook has shown it, and clients are told nothing.
#[derive(Debug, thiserror::Error)]
#[error("a layer or connection of a server has panicked")]
struct Panicked;

impl<S> Service<Call> for Caught<S>
where
    S: Service<Call, Response = Reply, Error: Into<BoxError>>,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The service that panicked is dropped by its caller, as after any error of readiness.
        match catch_unwind(AssertUnwindSafe(|| self.0.poll_ready(cx))) {
            Ok(ready) => ready.map_err(Into::into),
            Err(_) => Poll::Ready(Err(Panicked.into())),
        }
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let future = catch_unwind(AssertUnwindSafe(|| self.0.call(call)));
        ResponseFuture { inner: future.ok().map(|future| AssertUnwindSafe(future).catch_unwind()) }
    }
}

pin_project_lite::pin_project! {
    pub(super) struct ResponseFuture<F> {
        // None if it panicked before there was a future.
        #[pin]
        inner: Option<CatchUnwind<AssertUnwindSafe<F>>>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(inner) = self.project().inner.as_pin_mut() else { return Poll::Ready(Err(Panicked.into())) };
        Poll::Ready(match ready!(inner.poll(cx)) {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(Panicked.into()),
        })
    }
}
