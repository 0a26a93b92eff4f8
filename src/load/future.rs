//! The future of a counted call.

use super::meter::Flight;
use crate::Reply;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Resolves to the inner reply, which then holds the count.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // None once the head is out.
        flight: Option<Flight>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, flight: Flight) -> Self {
        Self { inner, flight: Some(flight) }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
{
    type Output = Result<Reply, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let flight = this.flight.take();
        Poll::Ready(result.map(|reply| match flight {
            Some(mut flight) => {
                flight.answered();
                reply.hold(flight)
            }
            None => reply,
        }))
    }
}
