use crate::EndpointId;
use std::fmt;

/// What a [reload](super::Registry::reload) did, by id; its `Display` is one line for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Servers that were not there before.
    pub added: Vec<EndpointId>,
    /// Servers whose entry is another one, reached anew.
    pub changed: Vec<EndpointId>,
    /// Servers that are gone once their calls have ended.
    pub removed: Vec<EndpointId>,
    /// How many servers kept everything.
    pub unchanged: usize,
}

impl Changes {
    /// Whether every server is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, ids) in [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)] {
            let ids: Vec<_> = ids.iter().map(EndpointId::as_str).collect();
            if !ids.is_empty() {
                write!(f, "{word} {}; ", ids.join(", "))?;
            }
        }
        write!(f, "{} unchanged", self.unchanged)
    }
}
