//! The future of [`Catalog`](super::Catalog).

use crate::{BoxError, Reply};
use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The table's answer, or the inner service's.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] reply: F },
        Ready { answer: Option<Result<Reply, BoxError>> },
        // Only in the first seconds of a gateway.
        Waiting { answer: BoxFuture<'static, Result<Reply, BoxError>> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn inner(reply: F) -> Self {
        Self { state: State::Inner { reply } }
    }

    pub(super) fn ready(answer: Result<Reply, BoxError>) -> Self {
        Self { state: State::Ready { answer: Some(answer) } }
    }

    pub(super) fn waiting(answer: impl Future<Output = Result<Reply, BoxError>> + Send + 'static) -> Self {
        Self { state: State::Waiting { answer: Box::pin(answer) } }
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
            StateProj::Ready { answer } => Poll::Ready(answer.take().expect("polled after completion")),
            StateProj::Waiting { answer } => answer.as_mut().poll(cx),
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
