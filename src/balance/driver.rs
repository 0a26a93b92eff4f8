use super::{members::Snapshot, policy::Policy, service::Shared};
use crate::{EndpointId, load::Metered};
use pin_project_lite::pin_project;
use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::watch;
use tower::{
    BoxError,
    discover::{Change, Discover},
};

/// Changes taken in before the others on this thread get their turn and callers their snapshot, so that a `Discover`
/// that always has one more does not keep all to itself.
const BATCH: usize = 1024;

pin_project! {
    /// Follows the pool's members and publishes a snapshot whenever they change; to be spawned.
    ///
    /// Changes that are there together become one snapshot. It completes when the `Discover` has ended or failed, with the
    /// last snapshot standing, and when the last [`Balance`](super::Balance) is gone. If it is dropped, the last snapshot
    /// stands as well.
    #[must_use = "a pool has no members until its driver runs"]
    pub struct Driver<D: Discover, S, P: Policy> {
        #[pin]
        discover: D,
        found: BTreeMap<EndpointId, Metered<S>>,
        policy: P,
        shared: Arc<Shared<S, P>>,
        publisher: Arc<watch::Sender<u64>>,
        abandoned: Pin<Box<dyn Future<Output = ()> + Send>>,
    }
}

impl<D: Discover, S, P: Policy> Driver<D, S, P> {
    pub(super) fn new(discover: D, policy: P, shared: Arc<Shared<S, P>>, publisher: watch::Sender<u64>) -> Self {
        let publisher = Arc::new(publisher);
        let watched = publisher.clone();
        let abandoned = Box::pin(async move { watched.closed().await });
        Self { discover, found: BTreeMap::new(), policy, shared, publisher, abandoned }
    }
}

impl<D, S, P> Future for Driver<D, S, P>
where
    D: Discover<Key = EndpointId, Service = Metered<S>>,
    D::Error: Into<BoxError>,
    S: Clone,
    P: Policy,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.abandoned.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut changes = 0;
        let ended = loop {
            match this.discover.as_mut().poll_discover(cx) {
                Poll::Ready(Some(Ok(Change::Insert(id, service)))) => drop(this.found.insert(id, service)),
                Poll::Ready(Some(Ok(Change::Remove(id)))) => drop(this.found.remove(&id)),
                Poll::Ready(Some(Err(error))) => {
                    tracing::warn!(error = &*error.into(), "discovery failed; the pool stays as it is");
                    break true;
                }
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
            changes += 1;
            if changes == BATCH {
                cx.waker().wake_by_ref();
                break false;
            }
        };
        if changes > 0 {
            this.shared.store(Snapshot::new(this.policy, this.found.iter()));
            this.publisher.send_modify(|version| *version += 1);
        }
        if ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<D: Discover, S, P: Policy> fmt::Debug for Driver<D, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("members", &self.found.keys()).finish_non_exhaustive()
    }
}
