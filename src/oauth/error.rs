//! Why nobody is signed in.

use std::{borrow::Cow, io};

/// The server wants a person to sign in, so no call was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nobody is signed in: run `tower-mcp-gateway login {server}`")]
pub struct SignedOut {
    /// The server's id.
    pub server: String,
}

/// A sign-in, or the renewal of one, that did not work. Its text holds no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// Somebody could not be asked.
    #[error("{what} cannot be asked: {why}")]
    Unreachable {
        /// Whom.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// An answer that cannot be used.
    #[error("{0}")]
    Refused(Cow<'static, str>),
    /// The authorization server said no.
    #[error("the authorization server refused: {0}")]
    Denied(String),
    /// Nobody signed in within the time.
    #[error("nobody signed in within {} s", .0.as_secs())]
    TooLate(std::time::Duration),
    /// Another gateway holds the tokens, and does not give them back.
    #[error("another gateway has been renewing the tokens for more than {} s", .0.as_secs())]
    Busy(std::time::Duration),
    /// The tokens could not be kept, or no port opened.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failed {
    pub(super) fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(why.into())
    }
}
