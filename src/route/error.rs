//! How routing fails.

use super::Template;
use crate::{Method, ServerName, error::Problem};
use std::{borrow::Cow, time::Duration};

/// When a client may ask again for a name that a server not yet listed may have.
const NOT_LISTED_RETRY: Duration = Duration::from_secs(1);

/// The most characters of a client's own text that an answer or a log line repeats: what a client names can be as long
/// as a message.
const MAX_REPEATED: usize = 200;

/// No server lists what the call names.
#[derive(Debug, thiserror::Error)]
#[error("unknown {kind}: {}", excerpt(.name))]
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
            // Clients compare it with what they asked for, so it stands there whole or not at all.
            "resource" if self.name.len() <= Template::MAX_URI => {
                problem.with_data(&serde_json::json!({"uri": self.name}))
            }
            _ => problem,
        }
    }

    /// The same while a server could still turn out to have it: a client that is told −32602 may forget the name.
    pub(super) fn not_listed(&self, server: &ServerName) -> Problem {
        let message = format!("unknown {}, and a server has not been listed yet: {server}", self.kind);
        let data = serde_json::json!({"source": "gateway", "reason": "not_listed", "server": server});
        Problem::new(503, "not_listed", message).with_data(&data).with_retry_after(NOT_LISTED_RETRY)
    }
}

/// The method is none that leads to a server.
pub(super) fn no_method(method: &Method) -> Problem {
    Problem::rpc(404, -32601, format!("method not found: {}", excerpt(method.as_str())))
}

/// The parameters do not say what the call is about.
pub(super) fn no_name(member: &'static str) -> Problem {
    Problem::rpc(200, -32602, format!("invalid params: {member:?} must say what is asked for"))
}

/// The beginning of `text`.
fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_REPEATED) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}
