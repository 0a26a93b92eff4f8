use http::HeaderName;

pub(super) use crate::param_headers::{decoded, mismatch, single};

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const NAME: HeaderName = HeaderName::from_static("mcp-name");
#[cfg(feature = "legacy")]
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
#[cfg(feature = "legacy")]
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
