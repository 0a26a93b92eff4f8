use bytes::Bytes;
use std::{borrow::Cow, time::Duration};

/// One event of a stream (WHATWG HTML, "Server-sent events").
///
/// ```
/// use std::time::Duration;
/// use tower_mcp_gateway::sse::{self, Event};
///
/// let event = Event::new("{}").with_id("7").with_retry(Duration::from_secs(2));
/// assert_eq!(sse::encode(&event), "id: 7\nretry: 2000\ndata: {}\n\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The type; absent means `message`.
    pub event: Option<Cow<'static, str>>,
    /// The data, lines joined by `\n`; empty where an event only carries an id or a delay.
    pub data: Bytes,
    /// Where to resume after this event; `Some("")` takes an earlier id back.
    pub id: Option<Box<str>>,
    /// How long to wait before the stream is opened again.
    pub retry: Option<Duration>,
}

impl Event {
    /// A `message` event.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// With this type in place of `message`. A line break and what follows it are not written.
    #[must_use]
    pub fn with_event(mut self, event: impl Into<Cow<'static, str>>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// With this id. A line break and what follows it are not written.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// With this delay before the reader opens the stream again; whole milliseconds on the wire.
    #[must_use]
    pub fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Whether this is a `message`, the only type that carries JSON-RPC.
    pub fn is_message(&self) -> bool {
        matches!(self.event.as_deref(), None | Some("" | "message"))
    }
}
