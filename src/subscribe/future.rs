//! The future of [`Subscribe`](super::Subscribe).

use crate::{BoxError, Reply, error::Problem};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// A stream of changes, or the inner service's reply.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Inner { #[pin] reply: F },
        Ready { answer: Option<Result<Reply, Problem>> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn inner(reply: F) -> Self {
        Self { state: State::Inner { reply } }
    }

    pub(super) fn ready(answer: Result<Reply, Problem>) -> Self {
        Self { state: State::Ready { answer: Some(answer) } }
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Reply, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { reply } => reply.poll(cx).map_err(Into::into),
            StateProj::Ready { answer } => {
                Poll::Ready(answer.take().expect("polled after completion").map_err(Into::into))
            }
        }
    }
}
