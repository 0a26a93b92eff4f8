use crate::EndpointId;
use std::{collections::BTreeMap, fmt};

/// What a [reload](super::Registry::reload) did, by id; its `Display` is one line for the log.
///
/// ```
/// use tower_mcp_gateway::registry::{Registry, Server};
///
/// let (registry, _driver) = Registry::builder().build();
/// let files = || Server::stdio("files-1", "files", "files-server");
/// assert_eq!(registry.reload([files()])?.added.len(), 1);
/// assert!(registry.reload([files()])?.is_empty());
/// assert_eq!(registry.reload([])?.removed.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Servers that were not there before.
    pub added: Vec<EndpointId>,
    /// Servers whose entry is another one, reached anew.
    pub changed: Vec<EndpointId>,
    /// Servers that keep their connection, and of which the settings of calls and tools are others.
    pub adjusted: Vec<EndpointId>,
    /// Servers that are gone once their calls have ended.
    pub removed: Vec<EndpointId>,
    /// How many servers kept everything.
    pub unchanged: usize,
    /// The fields of their entries in which changed and adjusted servers differ, as the configuration spells them.
    pub fields: BTreeMap<EndpointId, Vec<&'static str>>,
}

impl Changes {
    /// Whether every server is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.adjusted.is_empty() && self.removed.is_empty()
    }

    /// Counts a server that keeps its connection.
    pub(super) fn adjusted(&mut self, id: EndpointId, fields: Vec<&'static str>) {
        if fields.is_empty() {
            self.unchanged += 1;
            return;
        }
        self.fields.insert(id.clone(), fields);
        self.adjusted.push(id);
    }

    /// An id, with what of its entry is another.
    fn named(&self, id: &EndpointId) -> String {
        match self.fields.get(id) {
            Some(fields) => format!("{id} ({})", fields.join(", ")),
            None => id.to_string(),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, adjusted, removed, .. } = self;
        for (word, ids) in [("added", added), ("changed", changed), ("adjusted", adjusted), ("removed", removed)] {
            let ids: Vec<_> = ids.iter().map(|id| self.named(id)).collect();
            if !ids.is_empty() {
                write!(f, "{word} {}; ", ids.join(", "))?;
            }
        }
        write!(f, "{} unchanged", self.unchanged)
    }
}
