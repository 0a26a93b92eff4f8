//! The future of [`Route`](super::Route).

use crate::{BoxError, Call, Reply};
use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::OwnedSemaphorePermit;
use tower::{Service, util::Oneshot};

pin_project! {
    /// The reply of the pool a call was routed to, or the answer that there is none.
    pub struct ResponseFuture<S>
    where
        S: Service<Call>,
    {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S>
    where
        S: Service<Call>,
    {
        // With the permit of a target that has a bound of its own.
        Pool { #[pin] reply: Oneshot<S, Call>, slot: Option<OwnedSemaphorePermit> },
        Ready { answer: Option<Result<Reply, BoxError>> },
        // Names nobody lists, and resources several servers may have: rare, and not worth a hand-written machine.
        Boxed { reply: BoxFuture<'static, Result<Reply, BoxError>> },
    }
}

impl<S: Service<Call>> ResponseFuture<S> {
    pub(super) fn pool(reply: Oneshot<S, Call>, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { state: State::Pool { reply, slot } }
    }

    pub(super) fn ready(answer: Result<Reply, BoxError>) -> Self {
        Self { state: State::Ready { answer: Some(answer) } }
    }

    pub(super) fn boxed(reply: impl Future<Output = Result<Reply, BoxError>> + Send + 'static) -> Self {
        Self { state: State::Boxed { reply: Box::pin(reply) } }
    }
}

impl<S> Future for ResponseFuture<S>
where
    S: Service<Call, Response = Reply>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Pool { reply, slot } => {
                let reply = ready!(reply.poll(cx)).map_err(Into::into);
                Poll::Ready(match slot.take() {
                    Some(slot) => reply.map(|reply| reply.hold(slot)),
                    None => reply,
                })
            }
            StateProj::Ready { answer } => Poll::Ready(answer.take().expect("polled after completion")),
            StateProj::Boxed { reply } => reply.as_mut().poll(cx),
        }
    }
}

impl<S: Service<Call>> fmt::Debug for ResponseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
