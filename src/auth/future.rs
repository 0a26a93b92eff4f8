//! The future of [`Auth`](super::Auth).

use super::{
    Principal,
    error::Denied,
    layer::Rules,
    service::{admitted, refusal},
};
use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower::Service;

pin_project! {
    /// The answer of the service behind, or a refusal.
    pub struct ResponseFuture<S, B, ResBody>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future, ResBody>,
    }
}

type Verification = Pin<Box<dyn Future<Output = Result<Principal, Denied>> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<S, B, F, ResBody> {
        Forward { #[pin] future: F },
        Answer { response: Option<Response<ResBody>> },
        Verify { verification: Verification, waiting: Option<(S, Request<B>)>, rules: Arc<Rules> },
    }
}

impl<S: Service<Request<B>>, B, ResBody> ResponseFuture<S, B, ResBody> {
    pub(super) fn forward(future: S::Future) -> Self {
        Self { state: State::Forward { future } }
    }

    pub(super) fn refuse(response: Response<ResBody>) -> Self {
        Self { state: State::Answer { response: Some(response) } }
    }

    /// Waits for the verdict, with a service that is ready.
    #[cfg(feature = "oauth")]
    pub(super) fn verify(verification: Verification, waiting: (S, Request<B>), rules: Arc<Rules>) -> Self {
        Self { state: State::Verify { verification, waiting: Some(waiting), rules } }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B, ResBody>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Forward { future } => return future.poll(cx),
                StateProj::Answer { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled again after it was ready")));
                }
                StateProj::Verify { verification, waiting, rules } => {
                    let verdict = ready!(verification.as_mut().poll(cx));
                    let (mut inner, request) = waiting.take().expect("a verdict comes once");
                    match verdict {
                        Ok(principal) => State::Forward { future: inner.call(admitted(rules, request, principal)) },
                        Err(denied) => State::Answer { response: Some(refusal(rules, denied)) },
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B, ResBody> fmt::Debug for ResponseFuture<S, B, ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
