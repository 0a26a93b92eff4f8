use crate::{rate::Quota, registry::Resend};
use std::time::Duration;

/// What an operator says of a tool; what is `None` stays as it is for the server.
///
/// One tool may be slower, dearer or more dangerous than the rest of its server, which need not be bound for its sake.
///
/// ```
/// use tower_mcp_gateway::{Glob, toolset::{ToolSettings, Toolset}};
///
/// let mut dear = ToolSettings::default();
/// dear.rate = Some("10/min".parse()?);
/// let tools = Toolset::default().tool(Glob::new("transcribe"), dear.clone());
/// assert_eq!(tools.of("transcribe"), Some(dear));
/// assert_eq!(tools.of("read"), Some(ToolSettings::default()));
/// # Ok::<(), tower_mcp_gateway::rate::error::InvalidQuota>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolSettings {
    /// The name clients see in place of the server's own. It is subject to [`Naming`](crate::catalog::Naming) as that
    /// would be.
    pub rename: Option<Box<str>>,
    /// The description clients see in place of the server's own: models choose tools by it.
    pub description: Option<Box<str>>,
    /// Whether the tool does not exist for anybody.
    pub hidden: Option<bool>,
    /// The longest silence of a call.
    pub request_timeout: Option<Duration>,
    /// Calls in flight at once, of this tool at all replicas. One more waits for its turn, at most
    /// [`PATIENCE`](Self::PATIENCE), then it gets 503.
    pub max_in_flight: Option<usize>,
    /// Calls in a time, of this tool at all replicas; one more gets 429.
    pub rate: Option<Quota>,
    /// Whether a call that was sent is sent again when its connection is lost. Here it is the operator's word, and stands
    /// whatever the server says of the tool.
    pub resend: Option<Resend>,
}

impl ToolSettings {
    /// How long a call waits for another of its tool to end: as long as one waits for a full server.
    pub const PATIENCE: Duration = Duration::from_secs(1);

    /// Whether not every call may go on at once.
    pub(super) fn is_bounded(&self) -> bool {
        self.max_in_flight.is_some() || self.rate.is_some()
    }

    /// Its own fields, the missing ones from `more`.
    #[must_use]
    pub(super) fn or(self, more: &Self) -> Self {
        Self {
            rename: self.rename.or_else(|| more.rename.clone()),
            description: self.description.or_else(|| more.description.clone()),
            hidden: self.hidden.or(more.hidden),
            request_timeout: self.request_timeout.or(more.request_timeout),
            max_in_flight: self.max_in_flight.or(more.max_in_flight),
            rate: self.rate.or(more.rate),
            resend: self.resend.or(more.resend),
        }
    }
}
