use super::{Driver, Patience, Vacancy, future::ResponseFuture, members::Snapshot, policy::Policy};
use crate::{BoxError, Call, EndpointId, Reply, ServerName, load::Metered};
use arc_swap::ArcSwap;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;
use tower::{Service, discover::Discover};

/// A pool of the endpoints that `discover` finds, and the driver that follows it.
///
/// ```
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, load::{Meter, Metered}, reply::Outcome};
/// use tower_mcp_gateway::balance::{Patience, balance, policy::Strategy};
/// use futures_util::stream;
/// use tower::{ServiceExt, discover::Change, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let server = service_fn(async |_: Call| Ok::<_, BoxError>(Reply::single(Outcome::Accepted)));
/// let found = Change::Insert("search-1".into(), Metered::new(server, Meter::new(1)));
/// let discover = stream::iter([Ok::<_, BoxError>(found)]);
///
/// let (pool, driver) = balance("search".into(), discover, Strategy::RoundRobin, Patience::default());
/// tokio::spawn(driver);
/// assert!(pool.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await.is_ok());
/// # }
/// ```
pub fn balance<D, S, P>(
    server: ServerName,
    discover: D,
    policy: P,
    patience: impl Into<Patience>,
) -> (Balance<S, P>, Driver<D, S, P>)
where
    D: Discover<Key = EndpointId, Service = Metered<S>>,
    S: Clone,
    P: Policy,
{
    let empty = Snapshot::new(&policy, std::iter::empty());
    let shared = Arc::new(Shared {
        server,
        patience: patience.into(),
        settled: AtomicBool::new(false),
        vacancy: Vacancy::default(),
        snapshot: ArcSwap::from_pointee(empty),
    });
    let (publisher, published) = watch::channel(0);
    let driver = Driver::new(discover, policy, shared.clone(), publisher);
    (Balance(Arc::new(Pool { shared, published })), driver)
}

/// Sends each call to an eligible endpoint of a pool.
///
/// Eligible is an endpoint that is in the current snapshot, is well at this very moment ([`Meter::is_well`]), is one of
/// [`Call::providers`], and has not failed this call already, as long as others are left. A call with a
/// [`pin`](crate::call::Parts::pin) goes to that endpoint or to none.
///
/// An endpoint that has been out and came back takes its turn up to 20 times a second at once, and of the calls beyond
/// them a part that grows to all within 10 s ([`Meter::takes_turn`]), whatever the policy: caches and connections are
/// cold, and a server that fails again under its full load would flap.
///
/// It is always ready: which endpoint a call waits for is known only with the call, so readiness is awaited in the
/// future. Put [`LoadShed`](tower::load_shed::LoadShed) into each endpoint's stack, so that a full one answers at once
/// and the call can be [sent elsewhere](crate::retry).
///
/// # Errors
///
/// [`Failed`](super::error::Failed) around what the endpoint said, or [`NoEndpoint`](super::error::NoEndpoint) after at
/// most the pool's [`Patience`].
///
/// [`Meter::is_well`]: crate::load::Meter::is_well
/// [`Meter::takes_turn`]: crate::load::Meter::takes_turn
pub struct Balance<S, P: Policy>(Arc<Pool<S, P>>);

/// What copies of a [`Balance`] share; in one place, because one is made for each call.
pub(super) struct Pool<S, P: Policy> {
    pub(super) shared: Arc<Shared<S, P>>,
    // Changes after each new snapshot. That it exists keeps the driver going.
    pub(super) published: watch::Receiver<u64>,
}

pub(super) struct Shared<S, P: Policy> {
    server: ServerName,
    patience: Patience,
    // Whether there ever was a member.
    settled: AtomicBool,
    vacancy: Vacancy,
    snapshot: ArcSwap<Snapshot<S, P>>,
}

impl<S, P: Policy> Shared<S, P> {
    pub(super) fn vacancy(&self) -> &Vacancy {
        &self.vacancy
    }
}

impl<S: Clone, P: Policy> Shared<S, P> {
    pub(super) fn store(&self, snapshot: Snapshot<S, P>) {
        let members = snapshot.len();
        if members > 0 {
            self.settled.store(true, Ordering::Relaxed);
        }
        self.snapshot.store(Arc::new(snapshot));
        self.vacancy.resize(members);
    }

    pub(super) fn pick(&self, call: &Call) -> Option<(EndpointId, Metered<S>)> {
        self.snapshot.load().pick(call)
    }

    pub(super) fn server(&self) -> &ServerName {
        &self.server
    }

    /// How long a call may wait from now.
    pub(super) fn patience(&self) -> Duration {
        if self.settled.load(Ordering::Relaxed) {
            return self.patience.later;
        }
        self.patience.start.max(self.patience.later)
    }
}

impl<S, P> Service<Call> for Balance<S, P>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    P: Policy,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture<S, P>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        ResponseFuture::new(self.0.clone(), call)
    }
}

impl<S, P: Policy> Clone for Balance<S, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, P: Policy> fmt::Debug for Balance<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance").field("server", &self.0.shared.server).finish_non_exhaustive()
    }
}
