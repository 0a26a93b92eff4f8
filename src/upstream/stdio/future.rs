//! The future of [`Stdio`](super::Stdio).

use super::service::Lease;
use crate::{BoxError, Reply, upstream::mux::Ticket};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Resolves with the first message of the child that belongs to the call.
pub struct ResponseFuture(Kind);

enum Kind {
    Ready(Option<Result<Reply, BoxError>>),
    Sent(Ticket, Lease),
}

impl ResponseFuture {
    pub(super) fn ready(result: Result<Reply, BoxError>) -> Self {
        Self(Kind::Ready(Some(result)))
    }

    pub(super) fn sent(ticket: Ticket, lease: Lease) -> Self {
        Self(Kind::Sent(ticket, lease))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Kind::Ready(result) => Poll::Ready(result.take().expect("polled after completion")),
            Kind::Sent(ticket, lease) => {
                let reply = ready!(Pin::new(ticket).poll(cx));
                // The child lives as long as a reply of it does.
                Poll::Ready(reply.map(|reply| reply.hold(lease.clone())))
            }
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("sent", &matches!(self.0, Kind::Sent(..))).finish()
    }
}
