//! Why there are no keys.

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(pub(crate) getrandom::Error);

/// A list of secrets that cannot be keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// There must be one to seal with.
    #[error("at least one key is needed")]
    Empty,
    /// What is short can be guessed.
    #[error("key {0} is shorter than {min} characters; `openssl rand -base64 32` prints a good one", min = super::Keys::MIN_SECRET)]
    Short(usize),
    /// Each costs an attempt per token.
    #[error("more than {} keys", super::Keys::MAX_KEYS)]
    Many,
}
