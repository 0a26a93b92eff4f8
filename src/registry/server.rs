use super::{address, terms::Terms};
use crate::{EndpointId, ServerName, metrics::Calls, oauth::OAuth, rate::Quota, upstream};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A server entry: who it is and how it is reached.
///
/// ```
/// use tower_mcp_gateway::registry::Server;
///
/// let search = Server::sse("search-1", "search", "http://localhost:3510")?.weight(3)?;
/// let analytics = Server::stdio("analytics-1", "analytics", "analytics-server").arg("--quiet");
/// assert_eq!(search.weight_of(), 3);
/// # Ok::<(), tower_mcp_gateway::registry::InvalidServer>(())
/// ```
#[derive(Clone)]
pub struct Server {
    id: EndpointId,
    name: ServerName,
    connection: Connection,
    weight: u32,
    sessions: Option<Sessions>,
    max_in_flight: Option<usize>,
    rate: Option<Quota>,
    oauth: Option<OAuth>,
    pinned: Option<Arc<[u8]>>,
    pub(super) terms: Terms,
    metadata: serde_json::Map<String, serde_json::Value>,
    ambient: Ambient,
}

/// What the registry lends a server: the settings of all, and the tracker its drivers run in.
#[derive(Clone, Default)]
struct Ambient {
    settings: Arc<upstream::Settings>,
    tasks: TaskTracker,
    /// Cancelled when no time is left for a stop in order.
    hurry: CancellationToken,
    calls: Calls,
}

/// How a server is reached.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// A child process that speaks on its stdin and stdout.
    Stdio {
        /// The program, looked up in `PATH`.
        command: String,
        /// Its arguments, passed as they are: no shell sees them.
        args: Vec<String>,
        /// Its working directory; the gateway's own if absent.
        cwd: Option<PathBuf>,
        /// Variables added to its environment.
        env: BTreeMap<String, String>,
    },
    /// HTTP+SSE of revision 2024-11-05.
    Sse {
        /// The event stream's address, or the base whose `/sse` it is.
        url: Uri,
        /// Sent with every request, health checks included.
        headers: HeaderMap,
    },
    /// Streamable HTTP of any revision.
    Http {
        /// The MCP endpoint.
        url: Uri,
        /// Sent with every request, health checks included.
        headers: HeaderMap,
    },
}

/// Whose upstream session a call runs in, at servers that have sessions: those of the initialize era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sessions {
    /// One for all clients: the default of stdio and HTTP+SSE servers.
    Shared,
    /// One per client: the default of Streamable HTTP servers. A stdio server becomes one child process per client, an
    /// HTTP+SSE server one event stream; see [`PerClient`](crate::upstream::era::PerClient).
    PerClient,
}

/// A server entry that cannot be used, with the field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidServer {
    /// The field as the configuration spells it.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl InvalidServer {
    pub(super) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl Server {
    /// The largest weight: beyond it the schedule of weighted balancing would grow without use.
    pub const MAX_WEIGHT: u32 = 1000;

    /// A server over HTTP+SSE (2024-11-05).
    ///
    /// # Errors
    ///
    /// [`InvalidServer`] if `url` is no `http://` or `https://` address.
    pub fn sse(id: impl Into<EndpointId>, name: impl Into<ServerName>, url: &str) -> Result<Self, InvalidServer> {
        let (url, headers) = address::parse(url)?;
        let connection = Connection::Sse { url, headers };
        Ok(Self::new(id, name, connection))
    }

    /// A server over Streamable HTTP of any revision.
    ///
    /// A user and password before the host are sent as `Authorization: Basic`, unless a [header](Self::header) of that
    /// name is set, and are no part of the address any more.
    ///
    /// # Errors
    ///
    /// [`InvalidServer`] if `url` is no `http://` or `https://` address.
    ///
    /// ```
    /// use tower_mcp_gateway::registry::{Connection, Server};
    ///
    /// let server = Server::http("files-1", "files", "https://user:secret@files.example/mcp")?;
    /// let Connection::Http { url, headers } = server.connection() else { unreachable!() };
    /// assert_eq!(url, "https://files.example/mcp");
    /// assert_eq!(headers["authorization"], "Basic dXNlcjpzZWNyZXQ=");
    /// # Ok::<(), tower_mcp_gateway::registry::InvalidServer>(())
    /// ```
    pub fn http(id: impl Into<EndpointId>, name: impl Into<ServerName>, url: &str) -> Result<Self, InvalidServer> {
        let (url, headers) = address::parse(url)?;
        let connection = Connection::Http { url, headers };
        Ok(Self::new(id, name, connection))
    }

    /// A child process. An empty command is refused when the server is registered.
    pub fn stdio(id: impl Into<EndpointId>, name: impl Into<ServerName>, command: impl Into<String>) -> Self {
        let (args, cwd, env) = (Vec::new(), None, BTreeMap::new());
        Self::new(id, name, Connection::Stdio { command: command.into(), args, cwd, env })
    }

    fn new(id: impl Into<EndpointId>, name: impl Into<ServerName>, connection: Connection) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            connection,
            weight: 1,
            sessions: None,
            max_in_flight: None,
            rate: None,
            oauth: None,
            pinned: None,
            terms: Terms::default(),
            metadata: serde_json::Map::new(),
            ambient: Ambient::default(),
        }
    }

    /// Adds an argument; without effect on servers that are not child processes.
    #[must_use]
    pub fn arg(mut self, value: impl Into<String>) -> Self {
        if let Connection::Stdio { args, .. } = &mut self.connection {
            args.push(value.into());
        }
        self
    }

    /// Sets the working directory; without effect on servers that are not child processes.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        if let Connection::Stdio { cwd, .. } = &mut self.connection {
            *cwd = Some(dir.into());
        }
        self
    }

    /// Adds an environment variable; without effect on servers that are not child processes.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if let Connection::Stdio { env, .. } = &mut self.connection {
            env.insert(key.into(), value.into());
        }
        self
    }

    /// Adds a header to every request; without effect on child processes.
    ///
    /// # Errors
    ///
    /// [`InvalidServer`] if name or value are not allowed in HTTP. The value is marked sensitive.
    pub fn header(mut self, key: &str, value: &str) -> Result<Self, InvalidServer> {
        let invalid = || InvalidServer::new("connection.headers", format!("{key:?} is no valid header"));
        let key = HeaderName::from_bytes(key.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        if let Connection::Sse { headers, .. } | Connection::Http { headers, .. } = &mut self.connection {
            // Of credentials there is one set: these, rather than those of the address.
            match key == http::header::AUTHORIZATION {
                true => drop(headers.insert(key, value)),
                false => drop(headers.append(key, value)),
            }
        }
        Ok(self)
    }

    /// Sets the share of calls under weighted balancing; 1 unless set.
    ///
    /// # Errors
    ///
    /// [`InvalidServer`] for 0 and for more than [`MAX_WEIGHT`](Self::MAX_WEIGHT).
    pub fn weight(mut self, weight: u32) -> Result<Self, InvalidServer> {
        if !(1..=Self::MAX_WEIGHT).contains(&weight) {
            let reason = format!("{weight} is not between 1 and {}", Self::MAX_WEIGHT);
            return Err(InvalidServer::new("metadata.weight", reason));
        }
        self.weight = weight;
        Ok(self)
    }

    /// Sets whose upstream session a call runs in.
    #[must_use]
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Sets how many calls it takes at once, each replica for itself; a call beyond them goes to a replica, else it gets
    /// 503.
    ///
    /// The default [`endpoint`](super::Builder::endpoint) of a registry keeps it, as does a gateway made from a
    /// configuration; one of your own asks [`max_in_flight_of`](Self::max_in_flight_of).
    #[must_use]
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.max_in_flight = Some(calls);
        self
    }

    /// Sets how many calls it takes in a time, each replica for itself; a call beyond them goes to a replica, else it
    /// gets 429. Health checks and lists do not count.
    #[must_use]
    pub fn rate(mut self, quota: Quota) -> Self {
        self.rate = Some(quota);
        self
    }

    /// Sets that somebody signs in at it; without effect on child processes. See [`oauth`](crate::oauth).
    #[must_use]
    pub fn oauth(mut self, settings: OAuth) -> Self {
        self.oauth = Some(settings);
        self
    }

    /// Sets that it is the one that shows this certificate (DER), whatever name and authority that has, and no other.
    #[cfg(feature = "cli")]
    pub(crate) fn pinned(mut self, certificate: Vec<u8>) -> Self {
        self.pinned = Some(certificate.into());
        self
    }

    /// Sets the free metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: serde_json::Map<String, serde_json::Value>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Checks what the constructors cannot refuse.
    ///
    /// # Errors
    ///
    /// [`InvalidServer`] for an empty id, name or command.
    pub fn validate(&self) -> Result<(), InvalidServer> {
        let empty = |field| Err(InvalidServer::new(field, "must not be empty"));
        if self.id.as_str().trim().is_empty() {
            return empty("id");
        }
        if self.name.as_str().trim().is_empty() {
            return empty("name");
        }
        match &self.connection {
            Connection::Stdio { command, .. } if command.trim().is_empty() => empty("connection.command"),
            _ => Ok(()),
        }
    }

    /// The unique id.
    pub fn id(&self) -> &EndpointId {
        &self.id
    }

    /// The name; servers of one name are replicas.
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// How it is reached.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The share of calls under weighted balancing.
    pub fn weight_of(&self) -> u32 {
        self.weight
    }

    /// Whose upstream session a call runs in.
    pub fn sessions_of(&self) -> Sessions {
        self.sessions.unwrap_or(match self.connection {
            Connection::Stdio { .. } | Connection::Sse { .. } => Sessions::Shared,
            Connection::Http { .. } => Sessions::PerClient,
        })
    }

    /// How many calls it takes at once, if that was set.
    pub fn max_in_flight_of(&self) -> Option<usize> {
        self.max_in_flight
    }

    /// How many calls it takes in a time, if that was set.
    pub fn rate_of(&self) -> Option<Quota> {
        self.rate
    }

    /// How somebody signs in at it, if that is needed.
    pub fn oauth_of(&self) -> Option<&OAuth> {
        self.oauth.as_ref()
    }

    #[cfg(feature = "_client")]
    pub(crate) fn pinned_of(&self) -> Option<&Arc<[u8]>> {
        self.pinned.as_ref()
    }

    /// The free metadata.
    pub fn metadata_of(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.metadata
    }

    /// The settings of the registry it is registered in, the defaults before.
    pub fn settings(&self) -> &Arc<upstream::Settings> {
        &self.ambient.settings
    }

    /// Where drivers of its connection are spawned, so that the registry can wait for their end.
    pub fn tasks(&self) -> &TaskTracker {
        &self.ambient.tasks
    }

    /// The fields in which `other` is another connection, by their names in the file.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let reached = self.connection == other.connection && self.oauth == other.oauth && self.pinned == other.pinned;
        let same = [
            ("name", self.name == other.name),
            ("connection", reached),
            ("metadata", self.weight == other.weight && self.metadata == other.metadata),
            ("sessions", self.sessions == other.sessions),
            ("maxInFlight", self.max_in_flight == other.max_in_flight),
            ("rate", self.rate == other.rate),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
    }

    /// Lends the registry's settings and tracker.
    pub(crate) fn attach(mut self, settings: Arc<upstream::Settings>, tasks: TaskTracker) -> Self {
        self.ambient = Ambient { settings, tasks, ..Ambient::default() };
        self
    }

    /// What is counted of it.
    pub fn calls(&self) -> &Calls {
        &self.ambient.calls
    }

    /// Cancelled when its process must go at once, whoever still uses it.
    pub(crate) fn hurry(&self) -> &CancellationToken {
        &self.ambient.hurry
    }
}

impl Connection {
    /// The transport's name in the configuration.
    pub fn transport(&self) -> &'static str {
        match self {
            Connection::Stdio { .. } => "stdio",
            Connection::Sse { .. } => "sse",
            Connection::Http { .. } => "http",
        }
    }
}

// Arguments, environment, header values and the query and user of addresses may be secrets, so none is shown.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut server = f.debug_struct("Server");
        server.field("id", &self.id).field("name", &self.name).field("transport", &self.connection.transport());
        server.finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.transport()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_field() {
        let field = |result: Result<Server, InvalidServer>| result.unwrap_err().field;
        for url in ["", "localhost:3510", "ftp://x", "http://", "/sse", "http://a b"] {
            assert_eq!(field(Server::sse("a", "b", url)), "connection.url", "{url}");
        }
        let ok = || Server::http("a", "b", "https://localhost/mcp").unwrap();
        assert_eq!(field(ok().weight(0)), "metadata.weight");
        assert_eq!(field(ok().weight(1001)), "metadata.weight");
        assert_eq!(field(ok().header("bad header", "x")), "connection.headers");
        assert_eq!(Server::stdio("a", "b", " ").validate().unwrap_err().field, "connection.command");
        assert_eq!(Server::stdio("", "b", "c").validate().unwrap_err().field, "id");
        assert_eq!(Server::stdio("a", "", "c").validate().unwrap_err().field, "name");
        assert!(Server::stdio("a", "b", "c").sessions(Sessions::PerClient).validate().is_ok());
        assert!(ok().validate().is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let server = Server::http("a", "b", "http://u:hunter2@h/?k=hunter2").unwrap();
        let server = server.header("authorization", "hunter2").unwrap();
        let child = Server::stdio("a", "b", "c").arg("hunter2").env("K", "hunter2");
        assert!(!format!("{server:?} {:?} {child:?}", server.connection()).contains("hunter2"));
    }
}
