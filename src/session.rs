use crate::{Revision, json::Json};
use std::fmt;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// What an initialize-era client told about itself once, and its later requests rely on.
///
/// The edge makes it, fills every [`Call`](crate::Call)'s `_meta` from it, and closes it; layers behind the edge only
/// read. What belongs to a session elsewhere (an upstream session, a child process) is freed when
/// [`closed`](Session::closed) completes.
pub struct Session {
    id: Box<str>,
    revision: Revision,
    client_info: Json,
    capabilities: Json,
    closed: CancellationToken,
}

impl Session {
    /// A session with the revision that was agreed on and the `clientInfo` and `capabilities` of `initialize`.
    pub fn new(id: impl Into<Box<str>>, revision: Revision, client_info: Json, capabilities: Json) -> Self {
        Self { id: id.into(), revision, client_info, capabilities, closed: CancellationToken::new() }
    }

    /// The id the edge gave the client. A secret: who knows it can speak for the client.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The revision client and edge agreed on.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The client's name and version, as it sent them.
    pub fn client_info(&self) -> &Json {
        &self.client_info
    }

    /// What the client can do, as it sent it.
    pub fn capabilities(&self) -> &Json {
        &self.capabilities
    }

    /// Ends the session: DELETE, expiry, or the end of its one connection.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Completes once the session has ended.
    pub fn closed(&self) -> WaitForCancellationFuture<'_> {
        self.closed.cancelled()
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session.field("revision", &self.revision).field("client_info", &self.client_info);
        session.finish_non_exhaustive()
    }
}
