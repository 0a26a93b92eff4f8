//! Why a request is not let in, and why a token cannot be used.

/// A request without the right to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// There is no bearer token.
    #[error("a bearer token is required")]
    Missing,
    /// There is more than one `Authorization`, or it is no text.
    #[error("exactly one Authorization header is expected")]
    Malformed,
    /// The token is not one that opens this door. What is wrong with it is for the log only.
    #[error("the token is not valid here")]
    Invalid(&'static str),
    /// The token is valid and does not have the scopes that are needed.
    #[error("the token lacks a scope")]
    Scope,
    /// Whether the token is valid cannot be known: the authorization server's keys could not be fetched.
    #[error("tokens cannot be checked at the moment")]
    Unavailable,
}

/// A static token that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// Its secret could be guessed.
    #[error("a token must have at least {} characters", super::Token::MIN_SECRET)]
    Short,
    /// Its secret cannot be sent as a bearer token.
    #[error("a token may hold letters, digits and - . _ ~ + / = only")]
    Characters,
    /// It is no SHA-256 digest.
    #[error("a SHA-256 digest is written as 64 hexadecimal digits")]
    Digest,
}
