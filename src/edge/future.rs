//! The future of [`Edge`](super::Edge).

use super::Body;
use crate::{
    clock,
    spent::{self, Spent},
};
use http::Response;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The answer to one HTTP request.
///
/// Boxed, because the call it runs must be able to move on into the body of the response, or into a session.
pub struct ResponseFuture(Option<Pin<Box<dyn Answer>>>);

trait Answer: Future<Output = Response<Body>> + Spent {}

impl<F: Future<Output = Response<Body>> + Spent> Answer for F {}

impl ResponseFuture {
    pub(super) fn new(answer: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self(Some(Box::pin(answer)))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.0.as_mut().expect("polled after completion");
        let response = ready!(clock::during(|| answer.as_mut().poll(cx)));
        self.0.take().into_iter().for_each(|answer| spent::later(answer));
        Poll::Ready(Ok(response))
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
