//! How routing fails.

use crate::error::Problem;

/// No server lists what the call names.
#[derive(Debug, thiserror::Error)]
#[error("unknown {kind}: {name}")]
pub struct Unknown {
    /// `tool`, `prompt` or `resource`.
    pub kind: &'static str,
    /// The name or URI asked for.
    pub name: Box<str>,
}

impl Unknown {
    pub(crate) fn problem(&self) -> Problem {
        let problem = Problem::rpc(200, -32602, self.to_string());
        match self.kind {
            "resource" => problem.with_data(&serde_json::json!({"uri": self.name})),
            _ => problem,
        }
    }
}
