#[cfg(feature = "stdio")]
use super::stdio::{Runtimes, watchdog::Watchdog};
use crate::{identity::Identity, json::Json, metrics::Metrics, seal::Keys};
use std::{num::NonZeroU32, time::Duration};

/// How the gateway deals with every server; one value per registry.
///
/// What is right for one server and wrong for another stands in its [`Server`](crate::registry::Server) instead.
///
/// ```
/// use tower_mcp_gateway::{registry::Registry, upstream::Settings};
///
/// let mut settings = Settings::default();
/// settings.max_message_bytes = 32 << 20;
/// let (registry, driver) = Registry::builder().settings(settings.clone()).build();
/// assert!(settings.connect_timeout < settings.start_timeout, "a child may download before it runs");
/// # drop((registry, driver));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Longest wait for a connection, and for a stdio server that is being restarted: 2 s.
    pub connect_timeout: Duration,
    /// Longest wait for the first answer of a stdio server: 60 s, because `npx` downloads before it runs.
    pub start_timeout: Duration,
    /// Longest wait for the answer to `server/discover` that tells a server's era, before `initialize` is tried: 5 s.
    pub era_timeout: Duration,
    /// How long a call waits for a client's answer to a server's question before it is cancelled: 5 min.
    pub ask_timeout: Duration,
    /// Largest message or event taken from a server: 8 MiB.
    pub max_message_bytes: usize,
    /// How many health checks in a row a child must leave unanswered, and say nothing else meanwhile, until it is
    /// killed and started again: 1. A [registry](crate::registry) sets it to its `fall`.
    pub hung_after: NonZeroU32,
    /// How long a child may take to leave after its stdin was closed, before SIGTERM: 2 s.
    pub stop_grace: Duration,
    /// How long a child may take to leave after SIGTERM, before SIGKILL: 3 s.
    pub kill_grace: Duration,
    /// Seals what clients carry for the gateway: the state of parked calls, and sessions at the edge of a
    /// [`Gateway`](crate::Gateway).
    pub keys: Keys,
    /// The `clientInfo` servers are told where no client's own is at hand.
    pub client_info: Json,
    /// Ends child processes when this program is killed; none unless set.
    #[cfg(feature = "stdio")]
    pub watchdog: Option<Watchdog>,
    /// Where child processes are served; on the runtime that the service of a server is made in, unless set.
    #[cfg(feature = "stdio")]
    pub runtimes: Option<Runtimes>,
    /// Which gateway it is that has this registry; the id is made with the registry.
    pub(crate) identity: Identity,
    /// Where a gateway with this registry counts what it refuses, drops and repeats.
    pub metrics: Metrics,
}

impl Default for Settings {
    /// # Panics
    ///
    /// If the operating system gives no random bytes for [`keys`](Settings::keys).
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            start_timeout: Duration::from_secs(60),
            era_timeout: Duration::from_secs(5),
            ask_timeout: Duration::from_secs(300),
            max_message_bytes: 8 << 20,
            hung_after: NonZeroU32::MIN,
            stop_grace: Duration::from_secs(2),
            kill_grace: Duration::from_secs(3),
            keys: Keys::generate().expect("the operating system gives random bytes"),
            client_info: Json::from_static(concat!(
                r#"{"name":"tower-mcp-gateway","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            )),
            #[cfg(feature = "stdio")]
            watchdog: None,
            #[cfg(feature = "stdio")]
            runtimes: None,
            identity: Identity::default(),
            metrics: Metrics::default(),
        }
    }
}
