use super::Server;
use crate::{pin::Pin, toolset::Toolset};
use std::{sync::Arc, time::Duration};

/// Whether a call that was sent to a server, and may have run there, is sent again when its connection is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Resend {
    /// Never: what a tool says of itself is the server's word alone.
    #[default]
    Never,
    /// Once, if the tool is marked `readOnlyHint` or `idempotentHint`; see
    /// [`retry::Idempotent`](crate::retry::Idempotent) for the conditions.
    Idempotent,
}

/// What of an entry concerns its calls and tools, not its connection: another value of it needs no other connection.
///
/// All replicas of a name are under the terms of the first of them that has any, but for `resend` and `pin`, which each
/// says for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) toolset: Arc<Toolset>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) resend: Resend,
    /// That of the registry where nothing is said.
    pub(super) pin: Option<Pin>,
}

impl Terms {
    /// Whether it says something for all replicas.
    pub(super) fn is_common(&self) -> bool {
        self.request_timeout.is_some() || !self.toolset.is_empty()
    }

    /// The fields in which `other` differs, by their names in the file.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let mut fields = self.toolset.differences(&other.toolset);
        fields.extend((self.request_timeout != other.request_timeout).then_some("requestTimeout"));
        fields.extend((self.resend != other.resend).then_some("retry"));
        fields.extend((self.pin != other.pin).then_some("pin"));
        fields
    }
}

impl Server {
    /// Sets whether calls that were sent are sent again where the tool allows it. All servers of one name that list the
    /// tool must agree.
    #[must_use]
    pub fn resend(mut self, resend: Resend) -> Self {
        self.terms.resend = resend;
        self
    }

    /// Sets what is done about a tool of it that is not what was first seen, in place of what the
    /// [registry](super::Builder::pin) says.
    ///
    /// Each replica says for itself; what is pinned is the same for all of a name.
    #[must_use]
    pub fn pin(mut self, pin: Pin) -> Self {
        self.terms.pin = Some(pin);
        self
    }

    /// Sets which tools it has for clients, and how each may be called.
    ///
    /// What one server of a name says holds for all of that name; if several say something, the first one counts.
    ///
    /// ```
    /// use tower_mcp_gateway::{Glob, registry::Server, toolset::Toolset};
    ///
    /// let reads = Toolset::default().allow([Glob::new("read_*"), Glob::new("list_*")]);
    /// let files = Server::stdio("files-1", "files", "files-server").tools(reads);
    /// assert!(files.tools_of().of("write_file").is_none());
    /// ```
    #[must_use]
    pub fn tools(mut self, toolset: Toolset) -> Self {
        self.terms.toolset = Arc::new(toolset);
        self
    }

    /// Sets the longest silence of its calls, in place of the gateway's; whole milliseconds count.
    ///
    /// As with [`tools`](Self::tools), it holds for all servers of its name. A [`Timeout`](crate::timeout::Timeout) in
    /// front of the calls keeps it, and keeps the longest total as well.
    #[must_use]
    pub fn request_timeout(mut self, silence: Duration) -> Self {
        self.terms.request_timeout = Some(silence);
        self
    }

    /// Whether calls that were sent are sent again where the tool allows it.
    pub fn resend_of(&self) -> Resend {
        self.terms.resend
    }

    /// What is done about a tool of it that is not what was first seen, if that was set.
    pub fn pin_of(&self) -> Option<Pin> {
        self.terms.pin
    }

    /// Which tools it has for clients, and how each may be called.
    pub fn tools_of(&self) -> &Toolset {
        &self.terms.toolset
    }

    /// The longest silence of its calls, if it is not the gateway's.
    pub fn request_timeout_of(&self) -> Option<Duration> {
        self.terms.request_timeout
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }
}
