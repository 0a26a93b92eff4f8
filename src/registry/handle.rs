use super::{Builder, Changes, Connection, Entry, Measured, RegisterError, Server, member::Member};
use crate::{
    EndpointId,
    health::{Board, HealthCheck},
    pin::{Pin, Pins},
    policy::Policies,
    route::{Table, Tables},
    subscribe::Hub,
    upstream,
};
use std::{collections::HashSet, fmt, sync::Arc};
use tokio::sync::watch;

/// The servers behind a gateway: register, unregister and list them while calls are in flight.
///
/// A registry is two halves, like hyper's `handshake`: this handle, which is cheap to clone, and a driver future that
/// does the work. The handle only writes down what shall be; the driver reaches servers, checks their health, collects
/// what they offer and publishes routing tables. Without the driver nothing happens, and dropping it stops every server.
///
/// ```
/// use tower_mcp_gateway::registry::{Registry, Server};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (registry, driver) = Registry::builder().build();
/// tokio::spawn(driver);
///
/// registry.register(Server::sse("search-1", "search", "http://localhost:3510")?)?;
/// assert_eq!(registry.list()[0].id.as_str(), "search-1");
///
/// let again = registry.register(Server::stdio("search-1", "search", "search-server"));
/// assert_eq!(again.unwrap_err().to_string(), "id: a server \"search-1\" is registered already; unregister it first");
/// registry.unregister("search-1")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Registry {
    pub(super) shared: Arc<Shared>,
}

/// What handle and driver share.
pub(super) struct Shared {
    pub(super) name: Box<str>,
    pub(super) policies: Policies,
    /// The commands that may be registered at run time; any where nothing is said.
    pub(super) commands: Option<Arc<[String]>>,
    pub(super) members: watch::Sender<Members>,
    pub(super) changes: watch::Sender<u64>,
    /// What is done about changed tools where a server says nothing, and what they are compared with.
    pub(super) pinning: (Pin, Pins),
    pub(super) tables: Arc<Tables<Table>>,
    pub(super) board: Board,
    pub(super) hub: Hub,
    pub(super) settings: Arc<upstream::Settings>,
}

/// What shall be, written by handles and worked off by the driver: a level, not a queue of commands, so nothing can
/// fill up and nothing can be missed.
#[derive(Default)]
pub(super) struct Members {
    /// Servers of the configuration in its order, then those registered at run time by id.
    pub(super) active: Vec<Arc<Member>>,
    /// Unregistered servers whose calls or processes have not ended yet.
    pub(super) stopping: Vec<Arc<Member>>,
    pub(super) closed: bool,
}

impl Members {
    pub(super) fn get(&self, id: &str) -> Option<&Arc<Member>> {
        self.active.iter().find(|member| member.server.id().as_str() == id)
    }

    fn reload(&mut self, wanted: Vec<Member>) -> Result<Changes, RegisterError> {
        if self.closed {
            return Err(RegisterError::Closed);
        }
        let mut ids = HashSet::new();
        for member in &wanted {
            let id = member.server.id();
            let is_foreign = self.get(id.as_str()).is_some_and(|member| !member.configured);
            if is_foreign || !ids.insert(id) {
                return Err(RegisterError::Duplicate(id.clone()));
            }
        }
        let others = self.active.iter().filter(|member| !member.configured).count();
        // What was replaced before and still has calls counts as well, so that nobody piles it up by reloading.
        if wanted.len() + others > Registry::MAX_SERVERS || self.stopping.len() > Registry::MAX_SERVERS {
            return Err(RegisterError::Full);
        }
        let mut changes = Changes::default();
        let (mut old, added): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.active).into_iter().partition(|member| member.configured);
        for mut member in wanted {
            let id = member.server.id().clone();
            let known = old.iter().position(|known| *known.server.id() == id).map(|at| old.remove(at));
            match known {
                Some(known) => match known.server.differences(&member.server) {
                    same if same.is_empty() => {
                        changes.adjusted(id, known.adopt(&member.server));
                        self.active.push(known);
                        continue;
                    }
                    fields => {
                        let terms = known.terms().differences(&member.terms());
                        self.stopping.push(known);
                        member.succeeds = true;
                        changes.fields.insert(id.clone(), [fields, terms].concat());
                        changes.changed.push(id);
                    }
                },
                None => changes.added.push(id),
            }
            self.active.push(Arc::new(member));
        }
        changes.removed = old.iter().map(|member| member.server.id().clone()).collect();
        self.stopping.extend(old);
        self.active.extend(added);
        Ok(changes)
    }

    fn admit(&mut self, member: Member) -> Result<(), RegisterError> {
        let id = member.server.id();
        if self.closed {
            return Err(RegisterError::Closed);
        }
        if self.get(id.as_str()).is_some() {
            return Err(RegisterError::Duplicate(id.clone()));
        }
        if self.active.len() + self.stopping.len() >= Registry::MAX_SERVERS {
            return Err(RegisterError::Full);
        }
        let place = match member.configured {
            true => self.active.partition_point(|other| other.configured),
            false => self.active.partition_point(|other| other.configured || other.server.id() < id),
        };
        self.active.insert(place, Arc::new(member));
        Ok(())
    }
}

impl Registry {
    /// The most servers one registry takes, those included whose calls are still ending. Each costs two tasks and a
    /// connection, so a run-away script that registers is stopped here rather than by the operating system.
    pub const MAX_SERVERS: usize = 4096;

    /// Begins a registry; see [`Builder`].
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The gateway's name, as clients are told it.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Adds a server; it is reached in the background.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] names the field that is wrong, or says that the id is taken, the registry full or closed.
    pub fn register(&self, server: Server) -> Result<(), RegisterError> {
        if let (Some(allowed), Connection::Stdio { command, .. }) = (&self.shared.commands, server.connection())
            && !allowed.contains(command)
        {
            return Err(RegisterError::Command(command.clone()));
        }
        self.admit(server, false)
    }

    pub(super) fn admit(&self, server: Server, configured: bool) -> Result<(), RegisterError> {
        server.validate()?;
        let member = Member::new(server, configured, &self.shared.settings);
        let mut admitted = Ok(());
        self.shared.members.send_if_modified(|members| {
            admitted = members.admit(member);
            admitted.is_ok()
        });
        if admitted.is_ok() {
            self.shared.changed();
        }
        admitted
    }

    /// Takes a server out: no later call reaches it, those in flight finish, then its process or connection ends.
    /// Until then it is listed as [`Stopped`](super::Status::Stopped).
    ///
    /// What it said for all of its name, which tools there are and how long a call may be silent, goes with it: register
    /// another that says so first if others of the name stay.
    ///
    /// # Errors
    ///
    /// [`RegisterError::Unknown`] if no server has this id.
    pub fn unregister(&self, id: &str) -> Result<(), RegisterError> {
        let mut known = false;
        self.shared.members.send_if_modified(|members| {
            if let Some(place) = members.active.iter().position(|m| m.server.id().as_str() == id) {
                let member = members.active.remove(place);
                members.stopping.push(member);
                known = true;
            }
            known
        });
        if !known {
            return Err(RegisterError::Unknown(id.into()));
        }
        self.shared.changed();
        Ok(())
    }

    /// Brings the servers of the configuration in line with `servers`, all of them or none.
    ///
    /// Entries that are the same as before keep everything: connection, child process, sessions, load. So does one of which
    /// only the timeout, the retries or the settings of tools are others: it is adjusted. One that changed
    /// is replaced: calls in flight finish where they are, later ones go to the new connection, and the gap between the
    /// two is none, because the new one takes over the tools and the good name of the old until it has been asked itself.
    /// One that is missing is [unregistered](Self::unregister). Servers registered at run time stay as they are.
    ///
    /// ```
    /// use tower_mcp_gateway::registry::{Registry, Server};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (registry, driver) = Registry::builder().build_with([Server::stdio("a", "files", "files-server")])?;
    /// tokio::spawn(driver);
    /// let b = Server::stdio("b", "files", "files-server");
    /// let changes = registry.reload([Server::stdio("a", "files", "files-server"), b])?;
    /// assert_eq!(changes.to_string(), "added b; 1 unchanged");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if an entry is wrong, an id stands twice or belongs to a server registered at run time, or there
    /// are too many. Nothing has changed then.
    ///
    /// # Caveats
    ///
    /// A call of 2026-07-28 that waits for a person's answer to a server that is replaced meanwhile cannot go on: its
    /// state is at the old connection.
    pub fn reload(&self, servers: impl IntoIterator<Item = Server>) -> Result<Changes, RegisterError> {
        let mut wanted = Vec::new();
        for server in servers {
            server.validate()?;
            wanted.push(Member::new(server, true, &self.shared.settings));
        }
        let mut result = Ok(Changes::default());
        // Also where only the order is another, which decides between equal names.
        self.shared.members.send_if_modified(|members| {
            result = members.reload(wanted);
            result.is_ok()
        });
        if result.is_ok() {
            self.shared.changed();
        }
        result
    }

    /// Every server with its status and tools: those of the configuration in its order, then the others by id, then
    /// those that are stopping.
    pub fn list(&self) -> Vec<Entry> {
        let members = self.shared.members.borrow();
        let active = members.active.iter().map(|member| member.entry(false));
        active.chain(members.stopping.iter().map(|member| member.entry(true))).collect()
    }

    /// What is counted of every server, in the order of [`list`](Self::list). Numbers go with the registration: a server
    /// that is replaced begins anew.
    pub fn measured(&self) -> Vec<Measured> {
        let members = self.shared.members.borrow();
        let active = members.active.iter().map(|member| member.measured(false));
        active.chain(members.stopping.iter().map(|member| member.measured(true))).collect()
    }

    /// The latest health check of every registered server that has had one, in the order of [`list`](Self::list).
    pub fn health(&self) -> Vec<HealthCheck> {
        let members = self.shared.members.borrow();
        members.active.iter().filter_map(|member| member.vital()?.last_check()).collect()
    }

    /// A counter that moves whenever [`list`](Self::list) may have changed.
    ///
    /// ```
    /// use tower_mcp_gateway::registry::{Registry, Server, Status};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (registry, driver) = Registry::builder().build();
    /// tokio::spawn(driver);
    /// let mut changes = registry.changes();
    /// registry.register(Server::http("down", "down", "http://127.0.0.1:9/mcp")?)?;
    /// while registry.list()[0].status != Status::Error {
    ///     changes.changed().await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The routing table, for [`Route`](crate::route::Route), [`CatalogLayer`](crate::catalog::CatalogLayer) and
    /// [`SubscribeLayer`](crate::subscribe::SubscribeLayer).
    pub fn tables(&self) -> Arc<Tables<Table>> {
        Arc::clone(&self.shared.tables)
    }

    /// How it deals with every server; the edge in front seals sessions with the same
    /// [`keys`](upstream::Settings::keys).
    pub fn settings(&self) -> &upstream::Settings {
        &self.shared.settings
    }

    /// The subscriptions to resources of its servers, for
    /// [`SubscribeLayer::resources`](crate::subscribe::SubscribeLayer::resources).
    pub fn hub(&self) -> Hub {
        self.shared.hub.clone()
    }

    /// What tools were when they were first seen, and which have changed since.
    pub fn pins(&self) -> &Pins {
        &self.shared.pinning.1
    }

    /// Whether every server of the configuration has answered or failed once, or the start's patience is over.
    pub fn is_settled(&self) -> bool {
        self.shared.tables.versions().borrow().settled
    }

    /// Unregisters every server, refuses new ones, and waits until the last connection and process has ended.
    ///
    /// From the call on no new call reaches a server; lists stand as they were. The wait is as long as the calls in flight and, after those, as
    /// long as children get to leave ([`stop_grace`](upstream::Settings::stop_grace) and
    /// [`kill_grace`](upstream::Settings::kill_grace)). A call that never ends is one that a
    /// [`Timeout`](crate::timeout::Timeout) was not put around; whoever must not wait for it puts a timeout around this,
    /// and drops the driver afterwards. Dropped early, the future has closed the registry all the same.
    ///
    /// It returns at once where the driver has been dropped, and waits for one that was never spawned.
    pub async fn close(&self) {
        self.shared.members.send_modify(|members| {
            members.closed = true;
            let active = std::mem::take(&mut members.active);
            members.stopping.extend(active);
        });
        self.shared.changed();
        let mut members = self.shared.members.subscribe();
        // The sender lives in `self`, so the wait can only end by the condition.
        let _ = members.wait_for(|members| members.stopping.is_empty()).await;
    }

    /// Ends at once what [`close`](Self::close) still waits for: child processes get SIGTERM and soon SIGKILL, also
    /// those that a call holds.
    pub(crate) fn hurry(&self) {
        self.shared.members.borrow().stopping.iter().for_each(|member| member.server.hurry().cancel());
    }
}

impl Shared {
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Forgets a member whose connection has ended.
    pub(super) fn stopped(&self, member: &Arc<Member>) {
        self.members.send_modify(|members| members.stopping.retain(|other| !Arc::ptr_eq(other, member)));
        self.changed();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.shared.members.borrow();
        let ids: Vec<&EndpointId> = members.active.iter().map(|member| member.server.id()).collect();
        f.debug_struct("Registry").field("servers", &ids).finish_non_exhaustive()
    }
}
