//! MCP's own fields of a head, by the names the specification gives them (2025-11-25 and 2026-07-28,
//! "transports"), and the one of event streams that MCP resumes by.
//!
//! Names are lower-case, as `http` keeps them.

use http::{HeaderName, header};

/// As texts, for a walk over all fields that compares each with several.
pub(crate) mod name {
    pub(crate) const SESSION_ID: &str = "mcp-session-id";
    pub(crate) const PROTOCOL_VERSION: &str = "mcp-protocol-version";
    pub(crate) const METHOD: &str = "mcp-method";
    pub(crate) const NAME: &str = "mcp-name";
    pub(crate) const LAST_EVENT_ID: &str = "last-event-id";
}

/// The session a request belongs to.
pub(crate) const MCP_SESSION_ID: HeaderName = HeaderName::from_static(name::SESSION_ID);
/// The revision that was agreed on.
pub(crate) const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static(name::PROTOCOL_VERSION);
/// The method in the body.
pub(crate) const MCP_METHOD: HeaderName = HeaderName::from_static(name::METHOD);
/// The name, or the URI, in the parameters.
pub(crate) const MCP_NAME: HeaderName = HeaderName::from_static(name::NAME);
/// Where a stream goes on.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static(name::LAST_EVENT_ID);

/// What the gateway writes itself into each request to a server, so that a configuration cannot: the framing of HTTP, and what
/// MCP makes of the call.
pub(crate) const COMPUTED: [HeaderName; 13] = [
    header::ACCEPT,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    LAST_EVENT_ID,
    MCP_METHOD,
    MCP_NAME,
    MCP_PROTOCOL_VERSION,
    MCP_SESSION_ID,
];
