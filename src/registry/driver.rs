#[cfg(test)]
mod tests;

use super::{
    Server,
    builder::Wrap,
    endpoint::{Done, Running, Stack, Updates, stop},
    handle::{Members, Shared},
    member::Member,
    pool::Pools,
    terms::Terms,
};
use crate::{
    BoxError, Call, EndpointId, Reply, ServerName,
    balance::policy::Strategy,
    catalog::{Kind, Merge, Naming, Part, Update},
    error::causes,
    health::Verdict,
};
use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::sleep,
};
use tower::Service;

/// Listings on their way to the driver. Endpoints wait for room, so a thousand that change at once cost no memory.
const UPDATES: usize = 64;

/// When things happen.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    pub(super) interval: Duration,
    pub(super) start_patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), start_patience: Duration::from_secs(5) }
    }
}

/// Does what the handle wrote down: the one place that begins and ends servers and publishes tables.
pub(super) struct Driver {
    shared: Arc<Shared>,
    merge: Merge,
    pooling: (Strategy, Wrap),
    timing: Timing,
}

impl Driver {
    pub(super) fn new(
        shared: &Arc<Shared>,
        name: String,
        pooling: (Strategy, Wrap),
        naming: Naming,
        timing: Timing,
    ) -> Self {
        let merge = Merge::new(name, env!("CARGO_PKG_VERSION")).naming(naming);
        let merge = merge.identity(shared.settings.identity.clone());
        Self { shared: Arc::clone(shared), merge, pooling, timing }
    }

    /// Runs until the registry is closed and its last connection has ended.
    pub(super) async fn run<C, U, E, S>(self, connect: C, endpoint: E)
    where
        C: Fn(&Server) -> U,
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
        E: Fn(&Server, U) -> S,
        S: Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
    {
        let (updates, mut arriving) = mpsc::channel(UPDATES);
        let mut members = self.shared.members.subscribe();
        let mut verdicts = self.shared.board.subscribe();
        let mut accepted = self.shared.pinning.1.accepted();
        let mut patience = pin!(sleep(self.timing.start_patience));
        let make = |server: &Server| {
            let raw = connect(server);
            (raw.clone(), endpoint(server, raw))
        };
        let mut state = State::new(self, updates);
        state.reconcile(&make).await;
        while !state.is_finished() {
            tokio::select! {
                _ = members.changed() => state.reconcile(&make).await,
                Some(update) = arriving.recv() => {
                    state.take(update);
                    // Servers that answer together become one table.
                    while let Ok(update) = arriving.try_recv() {
                        state.take(update);
                    }
                    state.publish();
                }
                Ok(()) = accepted.changed() => {
                    state.review_all();
                    state.publish();
                }
                _ = verdicts.changed() => state.judge(),
                () = &mut patience, if !state.settled => state.settle(),
                Some(done) = state.work.join_next(), if !state.work.is_empty() => state.done(done),
            }
        }
    }
}

/// What the driver knows while it runs.
struct State<S> {
    driver: Driver,
    updates: Updates,
    pools: Pools<Stack<S>>,
    /// Who shall run, as it was last worked off: a reload that waits for its turn takes nobody out of the table.
    active: Vec<Arc<Member>>,
    running: Vec<Running>,
    work: JoinSet<Done>,
    settled: bool,
    /// Lists that servers said have changed, until the next table tells those who see the server.
    told: Vec<(ServerName, Kind)>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Without a driver nothing begins or ends any more: say so to those who wait for it.
        let members = self.shared.members.send_replace(Members { closed: true, ..Members::default() });
        // The tables hold the pools, and those the servers' connections. Calls in flight keep what they use.
        self.shared.tables.replace(self.merge.table(&[], None), true);
        for policy in self.shared.policies.all() {
            policy.view().tables().replace(self.merge.table(&[], None), true);
        }
        for member in members.active.iter().chain(&members.stopping) {
            self.shared.board.forget(member.server.id());
            member.server.tasks().close();
        }
        self.shared.changed();
    }
}

impl<S> State<S>
where
    S: Service<Call, Response = Reply, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
{
    fn new(driver: Driver, updates: Updates) -> Self {
        let (strategy, wrap) = driver.pooling.clone();
        let pools = Pools::new(strategy, wrap, driver.shared.board.clone(), &driver.shared.settings);
        let (active, running, work) = (Vec::new(), Vec::new(), JoinSet::new());
        Self { driver, updates, pools, active, running, work, settled: false, told: Vec::new() }
    }

    fn is_finished(&self) -> bool {
        let members = self.driver.shared.members.borrow();
        members.closed && members.stopping.is_empty()
    }

    /// Ends and begins members until those that run are those that shall.
    async fn reconcile<U>(&mut self, make: &impl Fn(&Server) -> (U, S))
    where
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
    {
        let (active, stopping) = {
            let members = self.driver.shared.members.borrow();
            (members.active.clone(), members.stopping.clone())
        };
        self.active.clone_from(&active);
        let (running, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| active.iter().any(|member| Arc::ptr_eq(member, &running.member)));
        self.running = running;
        let (mut replaced, mut ended) = (Vec::new(), Vec::new());
        for old in gone {
            let is_heir = |new: &&Arc<Member>| new.succeeds && new.server.id() == old.member.server.id();
            match active.iter().find(is_heir) {
                Some(heir) => replaced.push((old, heir.clone())),
                None => ended.push(old),
            }
        }
        let moved = self.succeed(&replaced, make).await;
        if !moved.is_empty() || !ended.is_empty() {
            // Once, with all heirs: a table without one of them would say that its tools do not exist. And before a pool
            // loses a member, so that no call is routed to a pool without any.
            self.review_all();
            self.publish();
        }
        for (name, id) in moved {
            self.pools.remove(&name, id).await;
        }
        replaced.into_iter().for_each(|(old, _)| old.end(&mut self.work));
        self.end(ended, &stopping).await;
        for member in active {
            if !self.running.iter().any(|running| Arc::ptr_eq(&running.member, &member)) {
                self.begin(member, make, None).await;
            }
        }
        // What is done about changed tools may be something else than before.
        self.review_all();
        self.publish();
    }

    /// Begins with heirs in the place of those that have their ids, which stay where they are; gives those that are in
    /// another pool than their heirs.
    async fn succeed<U>(
        &mut self,
        replaced: &[(Running, Arc<Member>)],
        make: &impl Fn(&Server) -> (U, S),
    ) -> Vec<(ServerName, EndpointId)>
    where
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
    {
        let mut moved = Vec::new();
        for (old, heir) in replaced {
            heir.inherit(&old.member);
            let (from, to) = (old.member.server.name(), &heir.server);
            self.begin(heir.clone(), make, Some(from)).await;
            if from != to.name() {
                moved.push((from.clone(), to.id().clone()));
            }
        }
        moved
    }

    /// Begins with a member, which takes over from another of its id in the pool of `from`, if any.
    async fn begin<U>(&mut self, member: Arc<Member>, make: &impl Fn(&Server) -> (U, S), from: Option<&ServerName>)
    where
        U: Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static,
    {
        let services = make(&member.server);
        let shared = &self.driver.shared;
        let peers = self.pools.peers(member.server.name());
        let vital = match from {
            Some(_) => shared.board.succeed(member.server.id(), &peers),
            None => shared.board.endpoint_in(member.server.id(), &peers),
        };
        let context = (vital, &shared.hub, &self.driver.timing);
        let (running, endpoint) = Running::begin(member, services, context, &self.updates, &mut self.work);
        let (name, id) = (running.member.server.name().clone(), running.member.server.id().clone());
        self.running.push(running);
        if from == Some(&name) && self.pools.replace(&name, id.clone(), endpoint.clone()).await {
            return self.driver.shared.changed();
        }
        let work = &mut self.work;
        let spawn = |driver| {
            work.spawn(async move {
                let driver: super::pool::Driver = driver;
                driver.await;
                Done::Loop
            });
        };
        self.pools.insert(&name, (id, endpoint, peers), spawn).await;
        self.driver.shared.changed();
    }

    /// Takes members out of their pools that are in the table no more.
    async fn end(&mut self, ended: Vec<Running>, stopping: &[Arc<Member>]) {
        for running in ended {
            let (name, id) = (running.member.server.name().clone(), running.member.server.id().clone());
            self.pools.remove(&name, id.clone()).await;
            self.driver.shared.board.forget(&id);
            running.end(&mut self.work);
        }
        // Unregistered before the driver had begun with them: there is no connection to wait for.
        for member in stopping.iter().filter(|member| member.vital().is_none()) {
            stop(Arc::clone(member), &mut self.work);
        }
    }

    fn take(&mut self, (member, update): (Arc<Member>, Update)) {
        if let Err(error) = &update.result {
            tracing::debug!(server = %update.endpoint, error = %causes(&**error), "not listed");
        }
        let listed = update.result.is_ok();
        member.offered(update.result);
        if listed {
            self.review(member.server.name());
        }
        self.told.extend(update.told.into_iter().map(|kind| (member.server.name().clone(), kind)));
        self.driver.shared.changed();
    }

    /// Compares what the replicas of a name list with what was first seen.
    fn review(&self, name: &ServerName) {
        let (default, pins) = &self.driver.shared.pinning;
        let replicas = self.running.iter().map(|running| &running.member).filter(|m| m.server.name() == name);
        let compared = replicas.filter_map(|member| {
            let pin = member.terms().pin.unwrap_or(*default);
            Some(((member, pin), member.prints(pin)?))
        });
        let (members, prints): (Vec<_>, Vec<_>) = compared.unzip();
        if prints.is_empty() {
            return;
        }
        for ((member, pin), review) in members.into_iter().zip(pins.review(name.as_str(), &prints)) {
            member.reviewed(review, pin);
        }
    }

    fn review_all(&self) {
        let names: HashSet<&ServerName> = self.running.iter().map(|running| running.member.server.name()).collect();
        names.into_iter().for_each(|name| self.review(name));
        self.driver.shared.changed();
    }

    /// Merges what all members offer into a new table.
    fn publish(&mut self) {
        let tables = &self.driver.shared.tables;
        if self.driver.shared.members.borrow().closed {
            // The last table stands: a client that asks while the gateway stops must not remember that there is nothing.
            return;
        }
        self.settled |= self.has_settled();
        let parts = self.parts();
        let previous = tables.load_full();
        let table = self.driver.merge.table(&parts, Some(&previous));
        let told = std::mem::take(&mut self.told);
        for policy in self.driver.shared.policies.all() {
            let restricted = self.driver.merge.restricted(&table, &parts, policy.rules());
            // Who must not know of a server is not told when it does something either.
            let seen = kinds(&told, |server| policy.rules().shows(server.as_str()));
            policy.view().tables().replace_and_tell(restricted, self.settled, &seen);
        }
        tables.replace_and_tell(table, self.settled, &kinds(&told, |_| true));
        self.driver.shared.hub.review();
        self.mark(&parts);
    }

    /// Tells each pool which of its tools may run twice: those that all who list them mark so and are trusted in it.
    fn mark(&self, parts: &[Part<crate::route::Pool>]) {
        let mut offers: HashMap<&ServerName, HashMap<Box<str>, bool>> = HashMap::new();
        for running in &self.running {
            let name = running.member.server.name();
            let pool = offers.entry(name).or_default();
            let part = parts.iter().find(|part| part.server == *name);
            let toolset = part.map(|part| part.toolset.clone()).unwrap_or_default();
            for (tool, twice) in running.member.tools(&toolset) {
                *pool.entry(tool).or_insert(true) &= twice;
            }
        }
        for (name, tools) in offers {
            if let Some(marks) = self.pools.marks(name) {
                marks.set(tools.into_iter().filter_map(|(tool, twice)| twice.then_some(tool)));
            }
        }
    }

    /// The active members by server name, in the registry's order.
    fn parts(&self) -> Vec<Part<crate::route::Pool>> {
        let mut parts: Vec<Part<_>> = Vec::new();
        let mut places: HashMap<ServerName, usize> = HashMap::new();
        let begun: HashSet<*const Member> = self.running.iter().map(|running| Arc::as_ptr(&running.member)).collect();
        for member in self.active.iter().filter(|member| begun.contains(&Arc::as_ptr(member))) {
            let server = &member.server;
            let Some(pool) = self.pools.get(server.name()) else { continue };
            let at = *places.entry(server.name().clone()).or_insert_with(|| {
                parts.push(Part::new(server.name().clone(), pool.clone()));
                parts.len() - 1
            });
            parts[at].endpoints.push((server.id().clone(), member.listing()));
        }
        self.agree(&mut parts);
        parts
    }

    /// What one entry of a name says holds for all, also while that entry waits to be begun with: what it denies must not
    /// be had of the others meanwhile.
    fn agree(&self, parts: &mut [Part<crate::route::Pool>]) {
        // Locked for all of it: a reload that moves what is denied from one entry to another is seen before or after.
        let members = self.driver.shared.members.borrow();
        let mut said: HashMap<&ServerName, Terms> = HashMap::new();
        for member in members.active.iter().chain(&self.active) {
            let terms = member.terms();
            if terms.is_common() {
                said.entry(member.server.name()).or_insert(terms);
            }
        }
        for part in parts {
            if let Some(terms) = said.remove(&part.server) {
                (part.toolset, part.request_timeout) = (terms.toolset, terms.request_timeout);
            }
        }
    }

    /// Whether every member has been listed, or has failed to be: nothing is gained by waiting for more.
    fn has_settled(&self) -> bool {
        let failed = |member: &Member| matches!(member.verdict(), Verdict::Ill(_));
        let answered = |running: &Running| running.member.has_answered() || failed(&running.member);
        !self.running.is_empty() && self.running.iter().all(answered)
    }

    /// Declares the start over; called when its patience is.
    fn settle(&mut self) {
        self.settled = true;
        self.driver.shared.tables.settle();
        self.driver.shared.policies.all().iter().for_each(|policy| policy.view().tables().settle());
        self.driver.shared.hub.review();
    }

    /// Looks at changed verdicts: an endpoint that has recovered may offer something else than before.
    fn judge(&mut self) {
        for running in &mut self.running {
            let ill = matches!(running.member.verdict(), Verdict::Ill(_));
            if running.ill && !ill {
                running.wake.notify_one();
            }
            running.ill = ill;
        }
        if !self.settled && self.has_settled() {
            self.settle();
        }
        self.driver.shared.hub.review();
        self.driver.shared.changed();
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Stopped(member)) => self.driver.shared.stopped(&member),
            Ok(Done::Loop) => {}
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "a task of the registry has panicked"),
        }
    }
}

/// The lists that were told of by servers that one sees.
fn kinds(told: &[(ServerName, Kind)], sees: impl Fn(&ServerName) -> bool) -> Vec<Kind> {
    told.iter().filter(|(server, _)| sees(server)).map(|(_, kind)| *kind).collect()
}
