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

/// An authorization server that cannot be used as it is described.
#[cfg(feature = "oauth")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOAuth {
    /// The issuer is no URL.
    #[error("the issuer must be an absolute http or https URL, as its tokens have it in `iss`")]
    Issuer,
    /// The resource is no URL.
    #[error("the resource must be the absolute http or https URL under which clients know this gateway")]
    Resource,
    /// The address of the keys is no URL.
    #[error("the address of the keys must be an absolute http or https URL")]
    Jwks,
    /// A scope cannot be one.
    #[error("a scope is one word without spaces, quotes and backslashes")]
    Scope,
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
