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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.trim_end())
    }
}
