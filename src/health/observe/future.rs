//! The future of an observed call.

use super::witness::Witness;
use crate::{BoxError, Reply, health::error::Open};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Resolves to the inner reply, which is then observed to its end.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // None if the call was refused.
        #[pin]
        inner: Option<F>,
        refused: Option<Open>,
        witness: Option<Witness>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, witness: Option<Witness>) -> Self {
        Self { inner: Some(inner), refused: None, witness }
    }

    pub(super) fn refused(open: Open) -> Self {
        Self { inner: None, refused: Some(open), witness: None }
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
        let Some(inner) = this.inner.as_pin_mut() else {
            let open = this.refused.take().expect("polled after it was ready");
            return Poll::Ready(Err(open.into()));
        };
        let result = ready!(inner.poll(cx)).map_err(Into::into);
        Poll::Ready(match this.witness.take() {
            Some(witness) => observe(result, witness),
            None => result,
        })
    }
}

fn observe(result: Result<Reply, BoxError>, mut witness: Witness) -> Result<Reply, BoxError> {
    match result.map(Reply::into_single) {
        Ok(Ok(outcome)) => {
            witness.succeeded(&outcome);
            Ok(Reply::single(outcome))
        }
        Ok(Err(events)) => {
            witness.answered();
            Ok(Reply::watched(events, witness))
        }
        Err(error) => {
            witness.failed(&error);
            Err(error)
        }
    }
}
