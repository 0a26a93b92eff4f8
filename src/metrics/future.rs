//! The future of a counted call.

use super::{Count, Held, Metrics};
use crate::{
    BoxError, Reply,
    reply::{Event, Watch},
};
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
            // In flight until the last of its events.
            Ok(Err(events)) => Ok(Reply::watched(events, Failure(this.metrics.clone())).hold(held)),
            Err(error) => {
                this.metrics.count(Count::of(&*error));
                Err(error)
            }
        })
    }
}

/// Counts the failure of a reply that has begun.
#[derive(Debug)]
struct Failure(Metrics);

impl Watch for Failure {
    fn end(&mut self, end: &Result<Event, BoxError>) {
        if let Err(error) = end {
            self.0.count(Count::of(&**error));
        }
    }
}
