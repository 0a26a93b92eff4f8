use crate::{BoxError, Reply};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::OwnedSemaphorePermit;

pin_project! {
    /// The inner reply, which holds its place among those in flight, or the refusal.
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
        Admitted { #[pin] reply: F, permit: Option<OwnedSemaphorePermit> },
        Refused { refused: Option<BoxError> },
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn admitted(reply: F, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { state: State::Admitted { reply, permit } }
    }

    pub(super) fn refused(refused: BoxError) -> Self {
        Self { state: State::Refused { refused: Some(refused) } }
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
            StateProj::Admitted { reply, permit } => {
                let reply = ready!(reply.poll(cx)).map_err(Into::into)?;
                Poll::Ready(Ok(match permit.take() {
                    Some(permit) => reply.hold(permit),
                    None => reply,
                }))
            }
            StateProj::Refused { refused } => Poll::Ready(Err(refused.take().expect("polled after completion"))),
        }
    }
}
