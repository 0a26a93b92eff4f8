use super::{Connection, Server, driver::Timing, member::Member, panic::Caught};
use crate::{
    BoxError, Call, Reply,
    catalog::{Refresh, Terms, Update},
    health::{
        Probe, Vital,
        observe::{Observe, ObserveLayer},
    },
    load::{Meter, Metered},
    rate::{Rate, RateLayer},
    subscribe::Hub,
};
use futures_util::FutureExt;
use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tower::{
    Layer, Service,
    load_shed::{LoadShed, LoadShedLayer},
};

/// How long a loop rests after a panic: it is a mistake in code, which will be there the next time as well.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// What tasks of the driver end with.
pub(super) enum Done {
    /// A loop that goes on for as long as its endpoint or pool does.
    Loop,
    /// The last connection of an unregistered server is gone.
    Stopped(Arc<Member>),
}

/// The way of listings to the driver, each with its registration.
pub(super) type Updates = mpsc::Sender<(Arc<Member>, Update)>;

/// The stack of one endpoint as its pool sees it.
pub(super) type Stack<S> = Rate<Observe<LoadShed<Caught<S>>>>;

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
        (vital, hub, timing): (Vital, &Hub, &Timing),
        updates: &Updates,
        work: &mut JoinSet<Done>,
    ) -> (Self, Metered<Stack<S>>)
    where
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
        S: Service<Call, Response = Reply, Error: Into<BoxError>>,
    {
        let server = &member.server;
        let meter = Meter::of_endpoint(server.weight_of(), vital.clone(), server.tasks().clone());
        let observe = ObserveLayer::new(vital.clone()).calls(server.calls().clone());
        let stack = observe.layer(LoadShedLayer::new().layer(Caught(service)));
        // Outside: what the gateway refuses says nothing of the server.
        let stack = RateLayer::optional(server.rate_of()).layer(stack);

        let wake = Arc::new(Notify::new());
        let probe = {
            let (raw, vital, interval) = (raw.clone(), vital.clone(), timing.interval);
            let first = first_patience(server);
            move || Probe::new(raw.clone(), vital.clone(), interval).first_timeout(first).run()
        };
        let mut terms = Terms::new(server.settings().client_info.clone());
        terms.http = matches!(server.connection(), Connection::Http { .. });
        terms.timeout = server.settings().start_timeout;
        terms.gateway = server.settings().identity.clone();
        let feed = {
            let (hub, id, raw, terms) = (hub.clone(), server.id().clone(), raw.clone(), terms.clone());
            move || hub.feed(id.clone(), raw.clone(), terms.clone()).run()
        };
        let refresh = {
            let (member, updates, wake) = (member.clone(), updates.clone(), wake.clone());
            move || relayed(raw.clone(), terms.clone(), member.clone(), updates.clone(), wake.clone())
        };
        let loops = [work.spawn(steadily(probe)), work.spawn(steadily(refresh)), work.spawn(steadily(feed))];

        member.begin(vital, meter.clone());
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

/// A child process may have to be downloaded before it runs; nobody downloads a server that is there already.
fn first_patience(server: &Server) -> Duration {
    match server.connection() {
        Connection::Stdio { .. } => server.settings().start_timeout,
        _ => Duration::ZERO,
    }
}

/// Lists one server and tells the driver, with the registration that it concerns: what the last one of an id had still
/// to say must not be taken for what the next one offers.
async fn relayed<U>(raw: U, terms: Terms, member: Arc<Member>, updates: Updates, wake: Arc<Notify>)
where
    U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
{
    let (sender, mut arriving) = mpsc::channel::<Update>(1);
    let refresh = Refresh::new(member.server.id().clone(), raw, sender).terms(terms).wake(wake);
    let relay = async {
        while let Some(update) = arriving.recv().await {
            if updates.send((member.clone(), update)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = refresh.run() => {}
        () = relay => {}
    }
}

/// Runs a loop to its end, and anew where it panics: a connection of one's own that does must not leave its server
/// unwatched.
async fn steadily<F: Future<Output = ()>>(begin: impl Fn() -> F) -> Done {
    loop {
        // Nothing of a loop that panicked is used again.
        match AssertUnwindSafe(async { begin().await }).catch_unwind().await {
            Ok(()) => return Done::Loop,
            Err(_) => tracing::error!("a task of the registry has panicked; it begins anew in {AFTER_PANIC:?}"),
        }
        sleep(AFTER_PANIC).await;
    }
}
