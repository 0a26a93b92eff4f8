use crate::rare::Rare;
use std::{collections::HashSet, sync::Arc};

/// The tools of a pool whose calls may run twice; clones are the same set.
///
/// The registry writes it whenever a server of the pool lists its tools: a tool is in it if every server that lists it
/// marks it `readOnlyHint` or `idempotentHint`, and the operator [opted in](crate::registry::Resend) for each of those
/// servers. Reading it takes one atomic load.
///
/// ```
/// use tower_mcp_gateway::retry::Marks;
///
/// let marks = Marks::default();
/// marks.set(["search"]);
/// assert!(marks.contains("search") && !marks.contains("send_mail"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Marks(Arc<Rare<HashSet<Box<str>>>>);

impl Marks {
    /// Replaces the set.
    pub fn set<T: Into<Box<str>>>(&self, tools: impl IntoIterator<Item = T>) {
        let tools: HashSet<_> = tools.into_iter().map(Into::into).collect();
        if tools.is_empty() {
            self.0.clear();
        } else if self.0.get().is_none_or(|there| *there != tools) {
            // Nearly always the same, and then there is nothing to tell the other processors.
            self.0.set(Arc::new(tools));
        }
    }

    /// Whether no call may run twice, as where no operator opted in.
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Whether calls of this tool may run twice.
    pub fn contains(&self, tool: &str) -> bool {
        self.0.get().is_some_and(|tools| tools.contains(tool))
    }
}
