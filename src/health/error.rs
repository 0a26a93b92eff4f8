//! How an unwell endpoint refuses.

/// The endpoint failed too many calls in a row and gets none for a while, so this one was not sent.
#[derive(Debug, thiserror::Error)]
#[error("the server failed repeatedly and is given time to recover")]
pub struct Open(pub(super) ());
