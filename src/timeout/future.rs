//! The future of a call with deadlines.

use super::{
    stream::TimeoutStream,
    watch::{Terms, Watch},
};
use crate::{BoxError, Reply};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// Resolves to the inner reply, whose events are under the same deadlines, or to
    /// [`Elapsed`](super::error::Elapsed).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // None if the call never times out.
        #[pin]
        watch: Option<Watch>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, terms: Terms) -> Self {
        Self { inner, watch: Some(Watch::new(terms)) }
    }

    pub(super) fn unbounded(inner: F) -> Self {
        Self { inner, watch: None }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // The answer first: one that is there counts, even if this was polled too late to see it in time.
        if let Poll::Ready(result) = this.inner.poll(cx) {
            return Poll::Ready(match (result, this.watch.as_pin_mut()) {
                (Ok(reply), Some(watch)) => Ok(guard(reply, watch)),
                (result, _) => result.map_err(Into::into),
            });
        }
        match this.watch.as_mut().as_pin_mut() {
            Some(watch) => watch.poll_over(cx).map(Err),
            None => Poll::Pending,
        }
    }
}

fn guard(reply: Reply, mut watch: Pin<&mut Watch>) -> Reply {
    match reply.into_single() {
        Ok(outcome) => Reply::single(outcome),
        Err(events) => {
            watch.as_mut().heard();
            Reply::stream(TimeoutStream::new(events, watch.terms().clone()))
        }
    }
}
