use super::future::ResponseFuture;
use crate::{Call, Reply};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::Service;

/// Holds a permit for each call until its reply is complete or abandoned.
///
/// It is not ready while all permits are out, so put [`LoadShed`](tower::load_shed::LoadShed) before it to refuse calls
/// rather than let them wait. Waiting services get permits in the order they asked.
///
/// # Errors
///
/// What the inner service fails with; it adds none.
///
/// # Caveats
///
/// A service that was made ready and is never called keeps its permit from others, as with every reservation in tower:
/// drop it or call it.
pub struct Limit<S> {
    inner: S,
    max: u32,
    semaphore: PollSemaphore,
    // Whether `semaphore` stands in the queue for a permit.
    queued: bool,
    // Some from a successful `poll_ready` until `call` spends it.
    permit: Option<OwnedSemaphorePermit>,
}

impl<S> Limit<S> {
    /// At most `max` calls in flight over all clones.
    pub fn new(inner: S, max: usize) -> Self {
        // What a semaphore can hand out at once, so that `drain` can ask for all of it.
        let max = u32::try_from(max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let semaphore = Arc::new(Semaphore::new(max as usize));
        Self { inner, max, semaphore: PollSemaphore::new(semaphore), queued: false, permit: None }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service, without the bound.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Waits until no call is in flight, and lets none begin from the first free permit on: the end of a service.
    ///
    /// Calls that wait for a permit at that time get theirs first. Dropping the future before its end gives the permits
    /// back.
    pub async fn drain(&self) {
        if let Ok(all) = self.semaphore.clone_inner().acquire_many_owned(self.max).await {
            all.forget();
        }
    }

    /// Permits that are free.
    pub fn available(&self) -> usize {
        self.semaphore.available_permits()
    }

    fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedSemaphorePermit>> {
        // A permit is free only if nobody waits for one, so this passes nobody by, and needs no future on the heap.
        if !self.queued
            && let Ok(permit) = self.semaphore.clone_inner().try_acquire_owned()
        {
            return Poll::Ready(Some(permit));
        }
        let permit = self.semaphore.poll_acquire(cx);
        self.queued = permit.is_pending();
        permit
    }
}

impl<S> Service<Call> for Limit<S>
where
    S: Service<Call, Response = Reply>,
{
    type Response = Reply;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.permit.is_none() {
            self.permit = ready!(self.poll_permit(cx));
            debug_assert!(self.permit.is_some(), "the semaphore is never closed");
        }
        let ready = ready!(self.inner.poll_ready(cx));
        if ready.is_err() {
            // A service that failed is thrown away by its owner, perhaps later: others need not wait for that.
            self.permit = None;
        }
        Poll::Ready(ready)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let permit = self.permit.take().expect("poll_ready must return Ready before call");
        ResponseFuture::new(self.inner.call(call), permit)
    }
}

impl<S: Clone> Clone for Limit<S> {
    fn clone(&self) -> Self {
        // Readiness belongs to the service that was polled: a copied permit would be a second one.
        Self {
            inner: self.inner.clone(),
            max: self.max,
            semaphore: self.semaphore.clone(),
            queued: false,
            permit: None,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Limit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("inner", &self.inner).field("available", &self.available()).finish()
    }
}
