//! Why a server was not taken or not let go.

use super::InvalidServer;
use crate::EndpointId;

/// A change of the registry that was refused; nothing has changed.
///
/// `{}` begins with the field that is wrong, where it is one, for whoever sent the entry.
///
/// ```
/// use tower_mcp_gateway::registry::{RegisterError, Registry, Server};
///
/// let (registry, _driver) = Registry::builder().build();
/// let server = Server::stdio("files-1", "files", "files-server");
/// registry.register(server.clone())?;
/// let error = registry.register(server).unwrap_err();
/// assert_eq!(error, RegisterError::Duplicate("files-1".into()));
/// assert_eq!(error.to_string(), r#"id: a server "files-1" is registered already; unregister it first"#);
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The entry cannot be used.
    #[error(transparent)]
    Invalid(#[from] InvalidServer),
    /// Ids are unique.
    #[error("id: a server {:?} is registered already; unregister it first", .0.as_str())]
    Duplicate(EndpointId),
    /// The [commands](super::Builder::commands) that may be registered at run time are others.
    #[error("connection.command: {0:?} is not among the commands that may be registered at run time")]
    Command(String),
    /// Nothing to unregister.
    #[error("id: no server {:?} is registered", .0.as_str())]
    Unknown(EndpointId),
    /// [`Registry::MAX_SERVERS`](super::Registry::MAX_SERVERS) are registered or still stopping.
    #[error("the registry is full: {} servers are registered", super::Registry::MAX_SERVERS)]
    Full,
    /// The registry has been closed.
    #[error("the registry is closed")]
    Closed,
}
