use serde_json::{Value, json};
use std::fmt;

/// Why a command ended without having done what it was asked to: what is said on stderr, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    reason: String,
}

impl Failure {
    /// The configuration or the command line cannot be used.
    pub(super) const USAGE: u8 = 2;
    /// What was asked for could not be done.
    pub(super) const FAILED: u8 = 1;
    /// A tool was called, and says itself that it failed.
    pub(super) const TOOL: u8 = 3;

    pub(super) fn usage(reason: impl Into<String>) -> Self {
        Self { code: Self::USAGE, reason: reason.into() }
    }

    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self { code: Self::FAILED, reason: reason.into() }
    }

    /// What a program reads in place of the sentence.
    pub(super) fn to_json(&self) -> Value {
        json!({ "error": self.to_string(), "exitCode": self.code })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.trim_end())
    }
}

/// Why a server is ill, in fewer words than the chain of causes, and without what would move a terminal's cursor: a reason
/// may quote what a server sent.
pub(super) fn plain(reason: &str) -> String {
    let reason = reason.strip_prefix("the handshake with the server failed: ").unwrap_or(reason);
    let reason = reason.replace("client error (Connect): ", "").replace("tcp connect error: ", "");
    reason.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_reason_says_what_and_why_and_no_more() {
        let long = "the handshake with the server failed: the server cannot be reached: client error (Connect): tcp connect \
                    error: Connection refused (os error 111)";
        assert_eq!(plain(long), "the server cannot be reached: Connection refused (os error 111)");
        assert_eq!(plain("a\u{1b}[2J\nb"), "a [2J b");
    }
}
