#[cfg(feature = "legacy")]
use super::legacy::{dialogue::Kept, post, session::Entry};
use super::{Body, answer::respond, error::Refusal, running::Running, writer::Writer};
use futures_util::future::BoxFuture;
use http::Response;
#[cfg(feature = "legacy")]
use std::sync::Arc;
use std::{future::Future, time::Duration};

/// What became of a message at once; what is made of it before anything is waited for takes no room in the future of its
/// answer.
pub(super) enum Begun<'a> {
    #[cfg(feature = "legacy")]
    Answered(Box<Response<Body>>),
    /// A call of a request that stands for itself.
    Alone(Running, Writer),
    /// A call of a session.
    #[cfg(feature = "legacy")]
    InSession(Arc<Entry>, Kept),
    /// Boxed is what is rare: the future has room for the largest of them all the time.
    Waiting(BoxFuture<'a, Result<Response<Body>, Refusal>>),
}

impl<'a> Begun<'a> {
    pub(super) fn waiting(answer: impl Future<Output = Result<Response<Body>, Refusal>> + Send + 'a) -> Self {
        Self::Waiting(Box::pin(answer))
    }

    /// The response, once there is one.
    #[expect(clippy::manual_async_fn, reason = "its future would hold a parameter twice that it changes")]
    pub(super) fn answered(
        self,
        keep_alive: Duration,
    ) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send + use<'a> {
        async move {
            match self {
                #[cfg(feature = "legacy")]
                Self::Answered(response) => Ok(*response),
                Self::Alone(running, writer) => Ok(respond(running, writer, keep_alive).await),
                #[cfg(feature = "legacy")]
                Self::InSession(entry, said) => Ok(post::respond(&entry, said, keep_alive).await),
                Self::Waiting(answer) => answer.await,
            }
        }
    }
}
