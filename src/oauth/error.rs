//! Why there is no token.

use std::{borrow::Cow, io};

/// The server wants a person to sign in, so no call was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nobody is signed in: run `tower-mcp-gateway login {server}`")]
pub struct SignedOut {
    /// The server's id.
    pub server: String,
}

/// Somebody is signed in, and the token has ended and could not be renewed, so no call was sent. To sign in again does not
/// help: it is tried again by itself.
///
/// ```
/// use tower_mcp_gateway::{error::{causes, find, never_sent}, oauth::error::NotRenewed, upstream::error::Connect};
///
/// let away = NotRenewed { why: "the authorization server cannot be asked: no answer within 15 s".into() };
/// let error = Connect(away.into());
/// assert!(never_sent(&error) && find::<NotRenewed>(&error).is_some());
/// assert!(causes(&error).ends_with("cannot be asked: no answer within 15 s"));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotRenewed {
    /// What failed. Holds no token and no address.
    pub why: String,
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
