use super::Verdicts;
use crate::EndpointId;
use futures_util::Stream;
use pin_project_lite::pin_project;
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::watch;
use tokio_util::sync::ReusableBoxFuture;
use tower::discover::{Change, Discover};

pin_project! {
    /// Shows only the services of a [`Discover`] that are well.
    ///
    /// 1. An insertion is held back until its endpoint has a healthy verdict.
    /// 2. When an endpoint falls ill it is removed, and its service kept; when it is well again a clone is inserted.
    ///    Calls in flight keep the clone they have.
    /// 3. A removal forgets the service, and is forwarded only if the endpoint was shown. A second insertion of a key
    ///    replaces the first.
    /// 4. Once nobody writes verdicts any more, the last ones stand. Once the inner `Discover` has ended, verdicts are
    ///    still followed; when both are over, so is this.
    ///
    /// Verdicts are read when a change is handed out, not when it was noticed, so a verdict that came and went between two
    /// polls is never seen.
    ///
    /// It holds one service per key of the inner `Discover`, and a queue of at most as many keys.
    ///
    /// ```
    /// use tower_mcp_gateway::health::{Board, Healthy};
    /// use futures_util::{FutureExt, StreamExt};
    ///
    /// # let change = tower::discover::Change::<_, &str>::Insert("search-1".into(), "a service");
    /// # let discover = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(change)]);
    /// let board = Board::default();
    /// let mut healthy = Healthy::new(discover, board.subscribe());
    /// assert!(healthy.next().now_or_never().is_none(), "nobody has asked search-1 yet");
    /// ```
    #[project = Projected]
    pub struct Healthy<D: Discover<Key = EndpointId>> {
        #[pin]
        inner: D,
        ended: bool,
        members: HashMap<EndpointId, Known<D::Service>>,
        // Members whose verdict may differ from what is shown.
        doubtful: VecDeque<EndpointId>,
        verdicts: watch::Receiver<Verdicts>,
        changed: ReusableBoxFuture<'static, Option<watch::Receiver<Verdicts>>>,
        unwatched: bool,
    }
}

struct Known<S> {
    service: S,
    shown: bool,
}

async fn changed(mut verdicts: watch::Receiver<Verdicts>) -> Option<watch::Receiver<Verdicts>> {
    verdicts.changed().await.ok().map(|()| verdicts)
}

impl<D: Discover<Key = EndpointId>> Healthy<D> {
    /// Filters `inner` by `verdicts`, which [`Board::subscribe`](super::Board::subscribe) gives.
    pub fn new(inner: D, verdicts: watch::Receiver<Verdicts>) -> Self {
        Self {
            inner,
            ended: false,
            members: HashMap::new(),
            doubtful: VecDeque::new(),
            changed: ReusableBoxFuture::new(changed(verdicts.clone())),
            verdicts,
            unwatched: false,
        }
    }
}

impl<D> Projected<'_, D>
where
    D: Discover<Key = EndpointId>,
    D::Service: Clone,
{
    /// Brings what is shown of `key` in line with its verdict.
    fn settle(&mut self, key: EndpointId) -> Option<Change<EndpointId, D::Service>> {
        let well = self.verdicts.borrow().is_well(key.as_str());
        let known = self.members.get_mut(&key)?;
        if known.shown == well {
            return None;
        }
        known.shown = well;
        Some(if well { Change::Insert(key, known.service.clone()) } else { Change::Remove(key) })
    }

    /// Takes in a change of membership.
    fn admit(&mut self, change: Change<EndpointId, D::Service>) -> Option<Change<EndpointId, D::Service>> {
        match change {
            Change::Insert(key, service) => {
                let shown =
                    self.members.insert(key.clone(), Known { service, shown: false }).is_some_and(|old| old.shown);
                // If the old service is shown, either the new one replaces it or it is taken away.
                self.settle(key.clone()).or_else(|| shown.then_some(Change::Remove(key)))
            }
            Change::Remove(key) => {
                let known = self.members.remove(&key)?;
                known.shown.then_some(Change::Remove(key))
            }
        }
    }

    /// Whether verdicts have changed since the last time; false once nobody writes any.
    fn poll_verdicts(&mut self, cx: &mut Context<'_>) -> bool {
        if *self.unwatched {
            return false;
        }
        match self.changed.poll(cx) {
            Poll::Ready(Some(verdicts)) => {
                self.changed.set(changed(verdicts));
                true
            }
            Poll::Ready(None) => {
                *self.unwatched = true;
                false
            }
            Poll::Pending => false,
        }
    }
}

impl<D> Stream for Healthy<D>
where
    D: Discover<Key = EndpointId>,
    D::Service: Clone,
{
    type Item = Result<Change<EndpointId, D::Service>, D::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            while let Some(key) = this.doubtful.pop_front() {
                if let Some(change) = this.settle(key) {
                    return Poll::Ready(Some(Ok(change)));
                }
            }
            if this.poll_verdicts(cx) {
                this.doubtful.extend(this.members.keys().cloned());
                continue;
            }
            if *this.ended {
                return if *this.unwatched { Poll::Ready(None) } else { Poll::Pending };
            }
            match ready!(this.inner.as_mut().poll_discover(cx)) {
                Some(Ok(change)) => {
                    if let Some(change) = this.admit(change) {
                        return Poll::Ready(Some(Ok(change)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => *this.ended = true,
            }
        }
    }
}

impl<D> fmt::Debug for Healthy<D>
where
    D: Discover<Key = EndpointId> + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.members.iter().filter(|(_, known)| known.shown).map(|(key, _)| key);
        let mut healthy = f.debug_struct("Healthy");
        healthy.field("inner", &self.inner).field("members", &self.members.len());
        healthy.field("shown", &shown.collect::<Vec<_>>()).finish()
    }
}
