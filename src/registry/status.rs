use crate::{
    EndpointId, ServerName,
    catalog::{Kind, Listing},
    health::{HealthCheck, Verdict},
    json::Json,
    pin::Change,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use std::{fmt, sync::Arc};

/// Where a registered server stands.
///
/// `registered` → `connecting` → `connected` ⇄ `error` → `stopped`. A status is derived from membership and the latest
/// verdict on the server's health whenever it is asked for; nothing stores it.
///
/// ```
/// use tower_mcp_gateway::registry::Status;
///
/// assert_eq!(serde_json::to_string(&Status::Connected)?, r#""connected""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// Taken into the registry; the driver has not begun with it.
    Registered,
    /// Being reached for the first time; no check has succeeded or failed yet.
    Connecting,
    /// Well, and in the routing pool.
    Connected,
    /// Out of the routing pool until a check succeeds.
    Error,
    /// Unregistered, with calls in flight or a process that is still to end; gone from the list after that.
    Stopped,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 5] =
        [Status::Registered, Status::Connecting, Status::Connected, Status::Error, Status::Stopped];

    /// The status of a server that the driver has begun with.
    pub(super) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Unknown => Status::Connecting,
            Verdict::Well => Status::Connected,
            Verdict::Ill(_) => Status::Error,
        }
    }

    /// The word in lists and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Registered => "registered",
            Status::Connecting => "connecting",
            Status::Connected => "connected",
            Status::Error => "error",
            Status::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One row of [`Registry::list`](super::Registry::list).
///
/// Serialized, it is the documented server entry without its connection, which may hold secrets.
///
/// ```
/// use tower_mcp_gateway::registry::{Registry, Server};
///
/// let (registry, _driver) = Registry::builder().build();
/// registry.register(Server::stdio("files-1", "files", "files-server"))?;
/// let shown = serde_json::to_value(&registry.list()[0])?;
/// assert_eq!((&shown["id"], &shown["status"]), (&"files-1".into(), &"registered".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The unique id.
    pub id: EndpointId,
    /// The pool it belongs to.
    pub name: ServerName,
    /// `stdio`, `sse` or `http`.
    pub transport: &'static str,
    /// Where it stands.
    pub status: Status,
    /// What it offers, once it has been listed; stays while the server is down.
    pub listing: Option<Arc<Listing>>,
    /// The latest health check.
    pub last_health_check: Option<HealthCheck>,
    /// Why it is in [`Status::Error`], or why it could not be listed.
    pub error: Option<String>,
    /// The free metadata of its configuration.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Entry {
    /// Its tools, each as the server sent it.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &Json> {
        let items = self.listing.as_ref().map_or(&[][..], |listing| &listing.list(Kind::Tools).items);
        items.iter().map(|tool| &tool.json)
    }

    /// Its tools that are not what was first seen; see [`pin`](crate::pin).
    pub fn changes(&self) -> &[Change] {
        self.listing.as_ref().map_or(&[], |listing| &listing.changed)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = |tool: &Json| serde_json::from_str::<Box<RawValue>>(tool.as_str());
        let tools: Result<Vec<_>, _> = self.tools().map(raw).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("transport", self.transport)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("tools", &tools.map_err(serde::ser::Error::custom)?)?;
        let changes = self.changes();
        if !changes.is_empty() {
            map.serialize_entry("changedTools", changes)?;
        }
        if let Some(check) = &self.last_health_check {
            map.serialize_entry("lastHealthCheck", check)?;
        }
        if let Some(error) = &self.error {
            map.serialize_entry("error", error)?;
        }
        if !self.metadata.is_empty() {
            map.serialize_entry("metadata", &self.metadata)?;
        }
        map.end()
    }
}
