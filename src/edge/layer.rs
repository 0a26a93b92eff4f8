use super::{Edge, uploads::Uploads};
use crate::metrics::Metrics;
#[cfg(feature = "legacy")]
use crate::{edge::legacy::Asking, seal::Keys};
use std::{sync::Arc, time::Duration};
use tower::Layer;

/// Turns HTTP requests into calls and replies into HTTP responses.
///
/// Each service it makes has sessions of its own; clones of one [`Edge`] share them, so mount clones where the same
/// gateway answers at several paths. What one layer makes shares 256 MiB for request bodies above 64 KiB that are still
/// arriving; one for which there is no room is refused with 503 and `Retry-After`.
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_gateway::edge::EdgeLayer;
///
/// let layer = EdgeLayer::new().max_request_bytes(1 << 20).keep_alive(Duration::from_secs(5));
/// # drop(layer);
/// ```
#[derive(Clone, Debug, Default)]
pub struct EdgeLayer {
    settings: Settings,
}

/// What an edge is told.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) max_request_bytes: usize,
    pub(super) body_timeout: Duration,
    pub(super) uploads: Uploads,
    pub(super) keep_alive: Duration,
    pub(super) metrics: Metrics,
    #[cfg(feature = "stdio")]
    pub(super) leaving: Duration,
    #[cfg(feature = "legacy")]
    pub(super) max_sessions: usize,
    #[cfg(feature = "legacy")]
    pub(super) session_idle: Duration,
    #[cfg(feature = "legacy")]
    pub(super) ask_timeout: Duration,
    #[cfg(feature = "legacy")]
    pub(super) messages_path: Option<Arc<str>>,
    #[cfg(feature = "legacy")]
    pub(super) keys: Option<Keys>,
    #[cfg(feature = "legacy")]
    pub(super) mount: Box<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_request_bytes: EdgeLayer::MAX_REQUEST_BYTES,
            body_timeout: EdgeLayer::BODY_TIMEOUT,
            uploads: Uploads::default(),
            keep_alive: EdgeLayer::KEEP_ALIVE,
            metrics: Metrics::default(),
            #[cfg(feature = "stdio")]
            leaving: EdgeLayer::LEAVING,
            #[cfg(feature = "legacy")]
            max_sessions: EdgeLayer::MAX_SESSIONS,
            #[cfg(feature = "legacy")]
            session_idle: EdgeLayer::SESSION_IDLE,
            #[cfg(feature = "legacy")]
            ask_timeout: EdgeLayer::ASK,
            #[cfg(feature = "legacy")]
            messages_path: None,
            #[cfg(feature = "legacy")]
            keys: None,
            #[cfg(feature = "legacy")]
            mount: Box::default(),
        }
    }
}

#[cfg(feature = "legacy")]
impl Settings {
    pub(super) fn asking(&self) -> Asking {
        Asking { timeout: self.ask_timeout, metrics: self.metrics.clone() }
    }
}

impl EdgeLayer {
    /// The largest request body: room for an image in a tool's arguments, and a thousand of them still fit in memory.
    pub const MAX_REQUEST_BYTES: usize = 4 << 20;
    /// How long a request body may take to arrive: 30 s, in which the largest needs no more than 1.1 Mbit/s.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
    /// How often a silent stream gets a comment: below the 30 s after which common proxies give up.
    pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

    /// How long calls go on for a stdio client that has closed its end: 30 s, as calls get when a gateway stops.
    #[cfg(feature = "stdio")]
    pub const LEAVING: Duration = Duration::from_secs(30);

    /// The layer with its defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses bodies above this size with 413, as soon as it is known.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_request_bytes = bytes;
        self
    }

    /// How long calls in flight go on after a stdio client has closed its end, so that it can read their answers. Then
    /// they are cancelled.
    #[cfg(feature = "stdio")]
    #[must_use]
    pub fn leaving(mut self, limit: Duration) -> Self {
        self.settings.leaving = limit;
        self
    }

    /// Counts the requests it refuses itself, and its sessions. Calls that fail behind it are counted by a
    /// [`TallyLayer`](crate::metrics::TallyLayer).
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.settings.metrics = metrics;
        self
    }

    /// Refuses bodies that take longer than this to arrive with 408, however steadily they drip.
    ///
    /// It is counted from the moment the head is handed in; a host that reads heads itself has its own clock for them.
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.settings.body_timeout = limit;
        self
    }

    /// How often a silent stream gets a comment.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    pub fn keep_alive(mut self, every: Duration) -> Self {
        assert!(!every.is_zero(), "a keep-alive interval of zero would be a busy loop");
        self.settings.keep_alive = every;
        self
    }
}

#[cfg(feature = "legacy")]
impl EdgeLayer {
    /// The most sessions at once. One costs about 1 KiB and at most 16 KiB, so all of them stay below 160 MiB.
    pub const MAX_SESSIONS: usize = 10_000;
    /// How long a session stays in memory without a request, a running call or an open stream.
    pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
    /// How long a client may take to answer what a result asks: five minutes, in which a person has read the question.
    pub const ASK: Duration = Duration::from_secs(300);

    /// Refuses `initialize` with 503 while this many sessions are alive.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.settings.max_sessions = sessions;
        self
    }

    /// Takes sessions out of memory that had no request, running call or open stream for this long, and frees what is
    /// kept behind the gateway for them. Their clients notice nothing: a session's id holds what is needed to open it
    /// again, for up to 24 hours.
    ///
    /// They are looked for whenever a request of that era comes in; without any, an idle session merely costs its
    /// memory and what is kept behind the gateway for it.
    #[must_use]
    pub fn session_idle_timeout(mut self, idle: Duration) -> Self {
        self.settings.session_idle = idle;
        self
    }

    /// Ends a call with 504 where its result asks something of the client, and that does not answer in time.
    ///
    /// A server of 2026-07-28 asks by a result and is done with the call until it is made again, so for clients of the
    /// earlier revisions it is the edge that asks, and waits. Questions in the middle of a call are none of its concern:
    /// [`TimeoutLayer::ask_timeout`](crate::timeout::TimeoutLayer::ask_timeout) bounds those.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mcp_gateway::edge::EdgeLayer;
    ///
    /// let layer = EdgeLayer::new().ask_timeout(Duration::from_secs(60));
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn ask_timeout(mut self, limit: Duration) -> Self {
        self.settings.ask_timeout = limit;
        self
    }

    /// Seals session ids with these keys: sessions then outlive this process, and any edge with the same keys serves
    /// them. Each edge has keys of its own otherwise.
    ///
    /// What a client told in `initialize` is in the id. What it did since is not: its log level, its subscriptions and
    /// the messages kept for a broken connection are lost with the process, and a session that was ended by DELETE is
    /// refused only where that was heard.
    ///
    /// ```
    /// use tower_mcp_gateway::{edge::EdgeLayer, seal::Keys};
    ///
    /// let keys = Keys::from_secrets(&["bVvL0Qk0y7bTn6Yw3fLr6q1J0oB5g2aH"])?;
    /// let layer = EdgeLayer::new().keys(keys);
    /// # drop(layer);
    /// # Ok::<(), tower_mcp_gateway::seal::error::InvalidKeys>(())
    /// ```
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.settings.keys = Some(keys);
        self
    }

    /// Tells this edge from others with the same keys: a session that was opened elsewhere does not exist here.
    ///
    /// Replicas of one gateway have the same name, [`Gateway`](crate::Gateway) takes its own; two gateways that share keys
    /// and not their servers should not.
    #[must_use]
    pub fn mount(mut self, name: impl Into<Box<str>>) -> Self {
        self.settings.mount = name.into();
        self
    }

    /// Where HTTP+SSE clients post to, as the path they see.
    ///
    /// By default it is derived from the path of the request for the stream: `/sse` becomes `/messages`. A router that
    /// strips a prefix hides that prefix from the gateway; then it must be said here (`/tools/messages`). The last
    /// segment is how posts of these clients are recognised.
    ///
    /// # Panics
    ///
    /// If it does not begin with `/`, ends with one, or holds what a path does not.
    #[must_use]
    pub fn messages_path(mut self, path: &str) -> Self {
        let plain = path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
        assert!(path.starts_with('/') && !path.ends_with('/') && plain, "{path:?} is no absolute path");
        self.settings.messages_path = Some(path.into());
        self
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge::new(inner, Arc::new(self.settings.clone()))
    }
}
