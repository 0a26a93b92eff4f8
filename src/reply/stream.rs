use super::{
    Event,
    hold::{Held, Watch},
};
use crate::{BoxError, error::Unfinished};
use futures_util::Stream;
use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

type Boxed = Pin<Box<dyn Stream<Item = Result<Event, BoxError>> + Send>>;

/// The events of a reply: notes, then exactly one [`Event::Done`] or one error, then the end.
///
/// A stream that ends without either ends with an error here, so that who reads it needs no case for that.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use tower_mcp_gateway::{Reply, error::{Unfinished, find}};
///
/// # tokio_test::block_on(async {
/// let mut events = Reply::stream(stream::empty()).into_events();
/// let end = events.next().await.expect("there is always an end").unwrap_err();
/// assert!(find::<Unfinished>(&*end).is_some());
/// assert!(events.next().await.is_none());
/// # });
/// ```
pub struct Events {
    // Dropped as soon as the last event is out, before the guards, so that a transport sees the end first.
    inner: Option<Boxed>,
    held: Held,
}

impl Events {
    pub(super) fn new<S>(events: S) -> Self
    where
        S: Stream<Item = Result<Event, BoxError>> + Send + 'static,
    {
        Self { inner: Some(Box::pin(events)), held: Held::default() }
    }

    pub(super) fn hold<G: Any + Send>(mut self, guard: G) -> Self {
        if self.inner.is_some() {
            self.held.push(guard);
        }
        self
    }

    pub(super) fn watch(mut self, watcher: impl Watch) -> Self {
        if self.inner.is_some() {
            self.held.watch(watcher);
        }
        self
    }

    fn finish(&mut self, end: &Result<Event, BoxError>) {
        self.inner = None;
        self.held.ended(end);
        self.held.release();
    }
}

impl Stream for Events {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        // What was polled is looked at where it lies and returned as it is, here and in each layer that looks at events: moved,
        // an event would be copied twice by each of them.
        let mut polled = inner.as_mut().poll_next(cx);
        match &polled {
            Poll::Pending | Poll::Ready(Some(Ok(Event::Note(_) | Event::Ask(_) | Event::Part(_)))) => return polled,
            Poll::Ready(Some(_)) => {}
            Poll::Ready(None) => polled = Poll::Ready(Some(Err(Unfinished::new().into()))),
        }
        if let Poll::Ready(Some(end)) = &polled {
            this.finish(end);
        }
        polled
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("finished", &self.inner.is_none()).field("held", &self.held).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Method, Reply,
        json::{Json, Params},
        reply::{Note, Outcome},
    };
    use futures_util::{FutureExt, StreamExt, stream};
    use std::sync::Arc;

    fn note() -> Result<Event, BoxError> {
        Ok(Event::from(Note::new(Method::PROGRESS, Params::empty())))
    }

    fn done() -> Result<Event, BoxError> {
        Ok(Event::Done(Outcome::Result(Json::from_static("{}"))))
    }

    #[test]
    fn a_guard_is_let_go_with_the_outcome_not_with_the_last_reference() {
        let guard = Arc::new(());
        let mut events = Reply::stream(stream::iter([note(), done(), note()])).hold(guard.clone()).into_events();
        assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Note(_))))));
        assert_eq!(Arc::strong_count(&guard), 2);
        assert!(matches!(events.next().now_or_never(), Some(Some(Ok(Event::Done(_))))));
        assert_eq!(Arc::strong_count(&guard), 1);
        assert!(matches!(events.next().now_or_never(), Some(None)));
    }

    #[test]
    fn an_error_ends_the_reply_and_lets_the_guard_go() {
        let guard = Arc::new(());
        let mut events = Reply::stream(stream::iter([Err("cut".into()), done()])).hold(guard.clone()).into_events();
        assert!(matches!(events.next().now_or_never(), Some(Some(Err(_)))));
        assert_eq!(Arc::strong_count(&guard), 1);
        assert!(matches!(events.next().now_or_never(), Some(None)));
    }

    #[test]
    fn a_stream_without_an_outcome_is_an_error_not_an_end() {
        let mut events = Reply::stream(stream::iter([note()])).into_events();
        let _ = events.next().now_or_never();
        let error = events.next().now_or_never().unwrap().unwrap().unwrap_err();
        assert!(error.is::<Unfinished>());
    }

    #[test]
    fn a_single_reply_holds_nothing() {
        let guard = Arc::new(());
        let reply = Reply::single(Outcome::Accepted).hold(guard.clone());
        assert_eq!(Arc::strong_count(&guard), 1);
        assert!(reply.as_single().is_some());
    }
}
