//! The future of [`Rate`](super::Rate).

use super::error::Exceeded;
use crate::BoxError;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The inner reply, or the refusal.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Inner { #[pin] reply: F },
        Refused { exceeded: Option<Exceeded> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn inner(reply: F) -> Self {
        Self { state: State::Inner { reply } }
    }

    pub(super) const fn refused(exceeded: Exceeded) -> Self {
        Self { state: State::Refused { exceeded: Some(exceeded) } }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Inner { reply } => reply.poll(cx).map_err(Into::into),
            StateProj::Refused { exceeded } => {
                Poll::Ready(Err(exceeded.take().expect("polled after completion").into()))
            }
        }
    }
}
