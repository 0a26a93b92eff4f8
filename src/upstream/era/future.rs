//! The future of [`Era`](super::Era).

use super::{
    sent::{Sent, again, anew},
    service::Conversation,
};
use crate::{BoxError, Reply, upstream::Transport};
use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// Resolves as the transport's future does; takes longer only where a handshake is needed first.
    pub struct ResponseFuture<T: Transport> {
        #[pin]
        kind: Kind<T>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<T: Transport> {
        // The era was known, and the call is at the transport.
        Direct {
            #[pin]
            future: T::Future,
            // What is needed to word the reply, or to send the call again.
            sent: Option<Sent<T>>,
        },
        // A handshake, a listening stream or a second attempt.
        Driven { future: BoxFuture<'static, Result<Reply, BoxError>> },
    }
}

impl<T: Transport> ResponseFuture<T> {
    pub(super) fn direct(future: T::Future, sent: Sent<T>) -> Self {
        Self { kind: Kind::Direct { future, sent: Some(sent) } }
    }

    pub(super) fn driven(future: BoxFuture<'static, Result<Reply, BoxError>>) -> Self {
        Self { kind: Kind::Driven { future } }
    }
}

impl<T: Transport> Future for ResponseFuture<T> {
    type Output = Result<Reply, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut kind = self.project().kind;
        loop {
            let driven = match kind.as_mut().project() {
                KindProjection::Driven { future } => return future.as_mut().poll(cx),
                KindProjection::Direct { future, sent } => {
                    let result = ready!(future.poll(cx));
                    let sent = sent.take().expect("polled after completion");
                    match result {
                        Ok(reply) if sent.is_other_revision(&reply) => anew(sent),
                        Ok(reply) => return Poll::Ready(Ok(sent.unworded(reply))),
                        Err(error) if Conversation::<T>::is_turned_away(&*error) => again(sent, error),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            };
            kind.set(Kind::Driven { future: driven });
        }
    }
}

impl<T: Transport> fmt::Debug for ResponseFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("direct", &matches!(self.kind, Kind::Direct { .. })).finish()
    }
}
