//! What a gateway is told by its operator: a JSON file, or the same in code.
//!
//! The file is JSON with comments and trailing commas. This is a complete one:
//!
//! ```
//! use tower_mcp_gateway::config::Config;
//!
//! let text = r#"{
//!     "name": "my-gateway",
//!     "port": 4000,                        // http://127.0.0.1:4000/mcp
//!     "balancer": "least-connections",     // among servers of one name
//!     "servers": [
//!         {
//!             "id": "search-1", "name": "search", "transport": "sse",
//!             "connection": { "type": "sse", "url": "http://localhost:3510" },
//!             "metadata": { "weight": 2 },
//!         },
//!     ],
//!     // The map that desktop clients keep can be pasted as it is.
//!     "mcpServers": {
//!         "files": { "command": "files-server", "env": { "TOKEN": "${FILES_TOKEN}" } },
//!     },
//! }"#;
//! let config = Config::parse(text, |variable| (variable == "FILES_TOKEN").then(|| "secret".into()))?;
//! assert_eq!(config.servers.len(), 2);
//! # Ok::<(), tower_mcp_gateway::config::ConfigError>(())
//! ```
//!
//! # Fields
//!
//! | field | meaning | default |
//! |---|---|---|
//! | `name` | the gateway's name, told to clients in `serverInfo` | `tower-mcp-gateway` |
//! | `host` | the address to listen on, or `localhost` | `127.0.0.1` |
//! | `port` | the port to listen on; 0 takes a free one | 4000 |
//! | `balancer` | `round-robin` · `least-connections` · `weighted` · `random` · `peak-ewma` | `round-robin` |
//! | `naming` | `auto` (a tool keeps its name unless two pools share it) · `prefixed` | `auto` |
//! | `pin` | a tool whose description or schema is not what was first seen: `off` (nobody looks) · `warn` (is reported) · `block` (does not exist until it is accepted), see [`pin`](crate::pin) | `warn` |
//! | `healthCheckInterval` | ms between two checks of a server | 15000 |
//! | `requestTimeout` | ms a call may stay silent | 30000 |
//! | `connectTimeout` | ms to connect to a server | 2000 |
//! | `startTimeout` | ms to the first answer of a child process | 60000 |
//! | `startPatience` | ms a client's first list waits for servers that are still starting | 5000 |
//! | `limits` | what bounds the gateway, see below | |
//! | `admin` | `host`, `port` (0 for nowhere) and `auth`: where servers, health and counts are shown | 127.0.0.1 and 4001, if that is free |
//! | `tls` | `cert`, `key` and perhaps `clientCa`: PEM files with which clients are served over TLS, see [`TlsFiles`] | plain HTTP |
//! | `auth` | who may come in, see below; `"none"` for everybody | nobody is asked, and only a loopback address is listened on |
//! | `policies`, `principals` | what principals see and may do, see below | everybody sees everything |
//! | `keys` | secrets of 32 characters or more: the first seals what clients carry (session ids), all open it | made once by the command, per process in a library |
//! | `servers` | a list of server entries | none |
//! | `mcpServers` | the map that Claude, Cursor and others keep | none |
//! | `$schema` | for editors | |
//!
//! An entry of `servers` has `id` (unique), `name` (entries of one name are replicas), `transport` (`stdio`, `sse` or
//! `http`), `connection` (whose `type` repeats the transport; then `command`, `args`, `cwd`, `env`, or `url`,
//! `headers`), and perhaps `metadata` (free; `metadata.weight` is 1 to 1000), `sessions` (`shared` or `per-client`),
//! `retry` (`never` or `idempotent`), `pin` (as above, for this entry) and the fields of the next section.
//! `tools`, `status` and `lastHealthCheck`, which the gateway finds out itself, are taken and ignored with a note.
//!
//! An `http` or `sse` server with `"auth": "oauth"` beside its `url` is one at which a person [signs in](crate::oauth); an
//! object there has `type` (`oauth`), `clientId`, `clientSecret` and `scopes`. Tokens are kept in
//! `$XDG_STATE_HOME/tower-mcp-gateway/tokens` (`~/.local/state/…`).
//!
//! # Tools
//!
//! | field of an entry | meaning |
//! |---|---|
//! | `requestTimeout` | ms a call may stay silent |
//! | `maxInFlight` | calls in flight at this entry |
//! | `rate` | calls in a time at this entry, as in [`Quota`](crate::rate::Quota) |
//! | `allow`, `deny` | [patterns](crate::Glob) of the tools that exist |
//! | `toolSettings` | by name or pattern: `rename`, `description`, `hidden`, `requestTimeout`, `maxInFlight`, `rate`, `retry` |
//!
//! [`Toolset`](crate::toolset::Toolset) says how they go together. Entries of one name share what is said of their tools.
//!
//! ```
//! use tower_mcp_gateway::config::Config;
//!
//! let text = r#"{ "mcpServers": { "files": {
//!     "command": "files-server", "rate": "10/s", "allow": ["read_*"],
//!     "toolSettings": { "read_file": { "rename": "open", "requestTimeout": 120000 } },
//! } } }"#;
//! let files = Config::parse(text, |_| None)?.servers.remove(0);
//! assert_eq!(files.tools_of().of("read_file").unwrap().rename.as_deref(), Some("open"));
//! # Ok::<(), tower_mcp_gateway::config::ConfigError>(())
//! ```
//!
//! # Who may come in
//!
//! `auth` is `"none"`, or an object with a list `tokens` of bearer tokens, each with the `name` of its principal and one of
//! `sha256` (64 hexadecimal digits), `token` (`"${CI_TOKEN}"`, from the environment) or `file` (whose content is the
//! token, its path relative to the folder of the configuration). `tower-mcp-gateway token` makes one. Only digests are
//! kept.
//!
//! `oauth` takes access tokens of an authorization server: `issuer` and `resource` (the URL under which clients know the
//! gateway) are needed; `audience` (the resource), `jwksUri` (found in the issuer's metadata), `scopes` (none; all of them
//! are demanded) and `algorithms` (all with public keys) may be given.
//!
//! # What a principal may do
//!
//! `policies` is a map of policies by name, each with `servers`, `tools` and `deny` (lists of patterns), `requests` (`10/s`,
//! `60/min`, `1000/h`) and `maxInFlight`, all of which may be left out. `principals` is a map from patterns over names of
//! principals to names of policies. [`policy`](crate::policy) says what they mean.
//!
//! # Limits
//!
//! Fields of `limits`, all of which may be left out; times are in ms. [`Limits`] says what each is for.
//!
//! | field | bounds | default |
//! |---|---|---|
//! | `maxInFlight` | calls in flight in the gateway | 512 |
//! | `maxInFlightPerServer` | calls in flight at one server | 100 |
//! | `maxStreams` | clients that listen for changes | 16384 |
//! | `maxSessions` | sessions of initialize-era clients | 10000 |
//! | `maxRequestBytes` | a request of a client | 4194304 |
//! | `maxMessageBytes` | a message of a server, also one that passes while it arrives | 8388608 |
//! | `maxTotal` | a call, however lively | 300000 |
//! | `askTimeout` | a person's answer to a server's question | 300000 |
//! | `idleTimeout` | a session that is not used | 1800000 |
//! | `headTimeout` | a request head on its way | 10000 |
//! | `bodyTimeout` | a request body on its way | 30000 |
//! | `connectionIdleTimeout` | a connection without a request | 60000 |
//! | `stallTimeout` | a client that reads nothing of its answer | 30000 |
//! | `stopGrace` | a child's end after its stdin was closed | 2000 |
//! | `killGrace` | a child's end after SIGTERM | 3000 |
//! | `drainTimeout` | calls in flight when the gateway stops | 30000 |
//! | `fall`, `rise` | checks in a row until a server counts as down, as up | 1, 1 |
//!
//! # Files of other programs
//!
//! In `mcpServers` (and in `servers` where that is a map, as VS Code writes it) the key is both id and name. `type` may
//! be `stdio`, `http`, `streamable-http`, `streamableHttp` or `sse`; without it, `command` means a child process, a `url`
//! whose path ends in `/sse` the old transport, any other `url` Streamable HTTP. `serverUrl` and `httpUrl` are taken for
//! `url`. An entry with `"disabled": true` or `"enabled": false` is skipped with a note. Fields that only concern the
//! program the file comes from (`autoApprove`, `alwaysAllow`, `timeout`, `description` and such) are ignored with a note;
//! one that would change how the server is started (`envFile`) is refused.
//!
//! # Variables
//!
//! `${NAME}` (or `${env:NAME}`) in a string stands for an environment variable, `${NAME:-text}` for `text` where there is
//! none. `$${` writes a plain `${`. What a variable holds is not looked into again. A missing variable is an error. A
//! number may be written as a string that is a variable: `"port": "${PORT}"`. What is ignored is not looked into at all.

mod admin;
mod auth;
mod error;
mod expand;
mod jsonc;
mod limits;
mod node;
#[cfg(feature = "oauth")]
mod oauth;
mod policies;
mod reader;
mod servers;
mod settings;
mod tls;

pub use self::{
    admin::Admin,
    error::{ConfigError, Mistake},
    limits::Limits,
    tls::TlsFiles,
};
#[cfg(feature = "cli")]
pub(crate) use self::{expand::required, settings::address};

use crate::{
    auth::AuthLayer,
    balance::policy::Strategy,
    catalog::Naming,
    pin::{Pin, Pins},
    registry::Server,
    seal::Keys,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

/// The JSON Schema (draft 7) of the file without its comments, for editors and for programs that write it.
///
/// An editor that knows it completes fields and underlines mistakes; [`Config::parse`] says more about each of them, and
/// refuses some that no schema can tell. `tower-mcp-gateway schema` prints it, `tower-mcp-gateway init` writes it beside the
/// configuration.
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(tower_mcp_gateway::config::SCHEMA)?;
/// assert_eq!(schema["properties"]["port"]["default"], 4000);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const SCHEMA: &str = include_str!("schema.json");

/// The largest configuration file that is read: far beyond any real one, so that `--config /dev/zero` ends.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// What a gateway is told by its operator.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_gateway::{config::Config, registry::Server};
///
/// let mut config = Config::new("my-gateway");
/// config.request_timeout = Duration::from_secs(10);
/// config.servers.push(Server::sse("search-1", "search", "http://localhost:3510")?);
/// assert_eq!(config.port, 4000);
/// # Ok::<(), tower_mcp_gateway::registry::InvalidServer>(())
/// ```
///
/// A value made in code is not checked here: a server entry that cannot be used is refused when it is registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The gateway's name, told to clients in `serverInfo`.
    pub name: String,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The time between two checks of one server.
    pub health_check_interval: Duration,
    /// How a call chooses among servers of one name.
    pub balancer: Strategy,
    /// The longest silence of a call.
    pub request_timeout: Duration,
    /// The longest wait for a connection to a server.
    pub connect_timeout: Duration,
    /// The longest wait for the first answer of a child process.
    pub start_timeout: Duration,
    /// The longest a client's first list waits for servers that are still starting.
    pub start_patience: Duration,
    /// What bounds the gateway.
    pub limits: Limits,
    /// Where the operator's programs ask.
    pub admin: Admin,
    /// With which certificate the program serves its clients over TLS; plain HTTP if unset. For the program: a library user
    /// has a listener of its own.
    pub tls: Option<TlsFiles>,
    /// Who may come in. `None` where nothing is said: then nobody is asked, and the program listens on a loopback address
    /// only.
    pub auth: Option<AuthLayer>,
    /// The names under which clients see the tools of several servers.
    pub naming: Naming,
    /// What is done about a tool that is not what was first seen, where its server says nothing of it.
    pub pin: Pin,
    /// What was first seen of tools before; nothing that a file could hold. `None` for what this process sees.
    pub pins: Option<Pins>,
    /// What seals session ids and other tokens that clients carry; `None` for keys of this process alone, with which
    /// no token outlives it.
    pub keys: Option<Keys>,
    /// What tells the file that it was read from from others, for commands that look for the gateway of that file; nothing
    /// that a file could hold.
    pub(crate) place: Option<Box<str>>,
    /// Ends child processes when the program is killed; nothing that a file could hold.
    #[cfg(feature = "stdio")]
    pub watchdog: Option<crate::upstream::stdio::watchdog::Watchdog>,
    /// Where child processes are served; nothing that a file could hold. On the runtime that the gateway is made in, unless
    /// set.
    #[cfg(feature = "stdio")]
    pub runtimes: Option<crate::upstream::stdio::Runtimes>,
    /// The servers, in the order of the file: those of `servers` before those of `mcpServers`.
    pub servers: Vec<Server>,
    /// What was ignored, one sentence each, for the operator to read.
    pub notes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").into(),
            host: Ipv4Addr::LOCALHOST.into(),
            port: 4000,
            health_check_interval: Duration::from_secs(15),
            balancer: Strategy::RoundRobin,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(2),
            start_timeout: Duration::from_secs(60),
            start_patience: Duration::from_secs(5),
            limits: Limits::default(),
            admin: Admin::default(),
            tls: None,
            auth: None,
            naming: Naming::Auto,
            pin: Pin::Warn,
            pins: None,
            keys: None,
            place: None,
            #[cfg(feature = "stdio")]
            watchdog: None,
            #[cfg(feature = "stdio")]
            runtimes: None,
            servers: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Config {
    /// The defaults under this name, without servers.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The fields beside the servers in which `other` differs, by their names in the file.
    pub(crate) fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let keys = match (&self.keys, &other.keys) {
            (Some(own), Some(others)) => own.is_same(others),
            (own, others) => own.is_none() && others.is_none(),
        };
        let auth = match (&self.auth, &other.auth) {
            (Some(own), Some(others)) => own.is_same(others),
            (own, others) => own.is_none() && others.is_none(),
        };
        let same = [
            ("name", self.name == other.name),
            ("host", self.host == other.host),
            ("port", self.port == other.port),
            ("balancer", self.balancer == other.balancer),
            ("naming", self.naming == other.naming),
            ("healthCheckInterval", self.health_check_interval == other.health_check_interval),
            ("requestTimeout", self.request_timeout == other.request_timeout),
            ("connectTimeout", self.connect_timeout == other.connect_timeout),
            ("startTimeout", self.start_timeout == other.start_timeout),
            ("startPatience", self.start_patience == other.start_patience),
            ("limits", self.limits == other.limits),
            ("admin", self.admin.is_same(&other.admin)),
            ("tls", self.tls == other.tls),
            ("auth", auth),
            ("keys", keys),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect()
    }

    /// Reads a file, with variables from the environment of the process. The files of `tls` and the `file` of a token are
    /// looked for relative to its folder, wherever the program was started.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the file cannot be read, and for everything [`parse`](Self::parse) refuses.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_file_in(path.as_ref(), &|variable| std::env::var(variable).ok())
    }

    /// The same in another environment.
    pub(crate) fn from_file_in(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|error| ConfigError::unreadable(path, error))?;
        settings::read(&text, env, path.parent()).map_err(|error| error.in_file(path))
    }

    /// Reads the text of a file; `env` answers for the environment, so that a test needs none. The `file`
    /// of a token is looked for relative to the working directory, and the files of `tls` are taken as they are written.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every mistake in it: each names the field, the line and what to write instead. Values that
    /// may be secret (`env`, `headers`, `url`, `args`) are never part of it.
    pub fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        settings::read(text, &env, None)
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read};
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::new(ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(text)
}
