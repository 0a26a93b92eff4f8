use super::running::Inner;
use crate::Call;
use futures_util::future::Either;
use std::{
    cell::Cell,
    fmt,
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};
use tower::{ServiceExt, util::Oneshot};

/// Copies that are kept: one for each thread of a machine of this size; threads beyond it share.
const SPARES: usize = 16;

/// The service behind the edge, with a copy of it for each thread.
///
/// A service is called through a copy, because readiness belongs to whoever waited for it. To make one for each call would
/// count references that all copies share, on all threads, a dozen times; the copy of a thread is ready again when it was
/// called, as a service that sheds load always is.
pub(super) struct Behind<S> {
    service: S,
    spares: [Mutex<Option<S>>; SPARES],
}

impl<S> Behind<S> {
    pub(super) fn new(service: S) -> Self {
        Self { service, spares: [const { Mutex::new(None) }; SPARES] }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.service
    }

    /// The service, of which there are no copies then.
    pub(super) fn get_mut(&mut self) -> &mut S {
        self.spares = [const { Mutex::new(None) }; SPARES];
        &mut self.service
    }

    pub(super) fn into_inner(self) -> S {
        self.service
    }
}

impl<S: Inner> Behind<S> {
    pub(super) fn call(&self, call: Call) -> Either<S::Future, Oneshot<S, Call>> {
        let mut spare = match self.spares[thread() % SPARES].try_lock() {
            Ok(spare) => spare,
            // Another thread's, or one that panicked in the middle of a call.
            Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => {
                return Either::Right(self.service.clone().oneshot(call));
            }
        };
        let service = spare.get_or_insert_with(|| self.service.clone());
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Either::Left(service.call(call)),
            // One that failed is not asked again, and one that is not ready is waited for by this call alone.
            Poll::Ready(Err(_)) | Poll::Pending => {
                *spare = None;
                Either::Right(self.service.clone().oneshot(call))
            }
        }
    }
}

/// The number of this thread, counted from the first that asked.
fn thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static NUMBER: Cell<Option<usize>> = const { Cell::new(None) } }
    NUMBER.get().unwrap_or_else(|| {
        let number = THREADS.fetch_add(1, Ordering::Relaxed);
        NUMBER.set(Some(number));
        number
    })
}

impl<S: Clone> Clone for Behind<S> {
    fn clone(&self) -> Self {
        Self::new(self.service.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for Behind<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Reply, json::Params, limit::LimitLayer, reply::Outcome};
    use std::sync::Arc;
    use tower::{BoxError, Layer, load_shed::LoadShedLayer, service_fn};

    fn call() -> Call {
        Call::new(Method::PING, Params::empty())
    }

    /// Counts how often it was copied.
    #[derive(Clone)]
    struct Counted<S> {
        service: S,
        _copies: Arc<()>,
    }

    impl<S: tower::Service<Call>> tower::Service<Call> for Counted<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.service.poll_ready(cx)
        }

        fn call(&mut self, call: Call) -> S::Future {
            self.service.call(call)
        }
    }

    #[tokio::test]
    async fn one_thread_calls_one_copy_over_and_over() {
        let copies = Arc::new(());
        let done = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
        let behind = Behind::new(Counted { service: done, _copies: copies.clone() });
        for _ in 0..10 {
            assert!(behind.call(call()).await.unwrap().as_single().is_some());
        }
        assert_eq!(Arc::strong_count(&copies), 3, "the service, its copy, and this");
    }

    #[tokio::test]
    async fn a_service_that_is_not_ready_is_waited_for_and_one_that_sheds_is_not() {
        let hangs = || service_fn(|_: Call| std::future::pending::<Result<Reply, BoxError>>());
        let limited = LimitLayer::new(1).layer(hangs());
        let behind = Behind::new(limited.clone());
        let first = behind.call(call());
        let mut second = tokio_test::task::spawn(behind.call(call()));
        assert!(second.poll().is_pending() && limited.available() == 0);
        drop(first);
        assert!(second.is_woken(), "it waits for the permit");
        drop(second);
        assert_eq!(limited.available(), 1, "no copy keeps one");

        let behind = Behind::new(LoadShedLayer::new().layer(limited.clone()));
        let _first = behind.call(call());
        assert!(behind.call(call()).await.is_err());
        drop(_first);
        assert_eq!(limited.available(), 1);
    }
}
