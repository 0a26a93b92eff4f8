//! The future of a counted call.

use super::{Count, Held, Metrics, stream::TallyStream};
use crate::{BoxError, Reply};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Resolves to the inner reply, whose events are watched for a failure.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        metrics: Metrics,
        held: Option<Held>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, metrics: Metrics, held: Option<Held>) -> Self {
        Self { inner, metrics, held }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx)).map_err(Into::into);
        let held = this.held.take();
        Poll::Ready(match result.map(Reply::into_single) {
            Ok(Ok(outcome)) => Ok(Reply::single(outcome)),
            Ok(Err(events)) => Ok(Reply::stream(TallyStream::new(events, this.metrics.clone(), held))),
            Err(error) => {
                this.metrics.count(Count::of(&*error));
                Err(error)
            }
        })
    }
}
