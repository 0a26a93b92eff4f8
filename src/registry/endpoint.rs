use super::{Connection, driver::Timing, member::Member};
use crate::{
    BoxError, Call, Reply,
    catalog::{Refresh, Terms, Update},
    health::{
        Board, Probe,
        observe::{Observe, ObserveLayer},
    },
    load::{Meter, Metered},
    subscribe::Hub,
};
use std::sync::Arc;
use tokio::{
    sync::{Notify, mpsc},
    task::{AbortHandle, JoinSet},
};
use tower::{
    Layer, Service,
    load_shed::{LoadShed, LoadShedLayer},
};

/// What tasks of the driver end with.
pub(super) enum Done {
    /// A loop that goes on for as long as its endpoint or pool does.
    Loop,
    /// The last connection of an unregistered server is gone.
    Stopped(Arc<Member>),
}

/// The stack of one endpoint as its pool sees it.
pub(super) type Stack<S> = Observe<LoadShed<S>>;

/// A member that the driver has begun with.
pub(super) struct Running {
    pub(super) member: Arc<Member>,
    /// Asks for a new listing.
    pub(super) wake: Arc<Notify>,
    /// The latest verdict was that it is ill.
    pub(super) ill: bool,
    loops: [AbortHandle; 3],
}

impl Running {
    /// Begins to check and list `member` on `raw`, and wraps `service` for its pool.
    pub(super) fn begin<U, S>(
        member: Arc<Member>,
        (raw, service): (U, S),
        (board, hub, timing): (&Board, &Hub, &Timing),
        updates: &mpsc::Sender<Update>,
        work: &mut JoinSet<Done>,
    ) -> (Self, Metered<Stack<S>>)
    where
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
        S: Service<Call, Response = Reply, Error: Into<BoxError>>,
    {
        let vital = board.endpoint(member.server.id());
        let meter = Meter::with_vital(member.server.weight_of(), vital.clone());
        let stack = ObserveLayer::new(vital.clone()).layer(LoadShedLayer::new().layer(service));

        let wake = Arc::new(Notify::new());
        let probe = Probe::new(raw.clone(), vital, timing.interval);
        let mut terms = Terms::new(member.server.settings().client_info.clone());
        terms.http = matches!(member.server.connection(), Connection::Http { .. });
        terms.timeout = member.server.settings().start_timeout;
        let feed = hub.feed(member.server.id().clone(), raw.clone(), terms.clone());
        let refresh = Refresh::new(member.server.id().clone(), raw, updates.clone());
        let refresh = refresh.terms(terms).wake(Arc::clone(&wake));
        let loops = [work.spawn(ended(probe.run())), work.spawn(ended(refresh.run())), work.spawn(ended(feed.run()))];

        member.begin();
        (Self { member, wake, ill: false, loops }, Metered::new(stack, meter))
    }

    /// Ends its loops, and waits in the background for its connection to end.
    pub(super) fn end(self, work: &mut JoinSet<Done>) {
        self.loops.iter().for_each(AbortHandle::abort);
        stop(self.member, work);
    }
}

/// Tells when the last connection of `member` is gone.
pub(super) fn stop(member: Arc<Member>, work: &mut JoinSet<Done>) {
    work.spawn(async move {
        member.server.tasks().close();
        member.server.tasks().wait().await;
        Done::Stopped(member)
    });
}

async fn ended(work: impl Future<Output = ()>) -> Done {
    work.await;
    Done::Loop
}
