use crate::{
    BoxError, Call, Reply,
    reply::{Event, Events},
};
use futures_util::{Stream, TryFutureExt};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower::{Service, ServiceExt};

/// What stands behind the edge.
pub(super) trait Inner:
    Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

impl<S> Inner for S where
    S: Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

/// A call from its start to its outcome, as one stream: first the service's future, then the reply's events. A failure
/// before the head is an `Err` like one after it.
///
/// Dropping it cancels the call, at whichever stage it is.
pub(super) struct Running(State);

enum State {
    Head(Pin<Box<dyn Future<Output = Result<Reply, BoxError>> + Send>>),
    Tail(Events),
    Over,
}

impl Running {
    pub(super) fn start<S: Inner>(inner: &Arc<S>, call: Call) -> Self {
        Self(State::Head(Box::pin(S::clone(inner).oneshot(call).map_err(Into::into))))
    }
}

impl Stream for Running {
    type Item = Result<Event, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let reply = match &mut self.0 {
                State::Head(head) => ready!(head.as_mut().poll(cx)),
                State::Tail(events) => return Pin::new(events).poll_next(cx),
                State::Over => return Poll::Ready(None),
            };
            self.0 = State::Over;
            match reply.map(Reply::into_single) {
                Ok(Ok(outcome)) => return Poll::Ready(Some(Ok(Event::Done(outcome)))),
                Ok(Err(events)) => self.0 = State::Tail(events),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}
