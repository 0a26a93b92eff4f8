//! How a rate is exceeded.

use super::Quota;
use std::time::Duration;

/// The calls of a [`Quota`] are used up. The call was not sent.
#[derive(Debug, thiserror::Error)]
#[error("more than {quota}")]
pub struct Exceeded {
    /// What is allowed.
    pub quota: Quota,
    /// When the next call is.
    pub retry_after: Duration,
}

/// A text that is no [`Quota`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write calls and a unit, such as 10/s, 60/min or 1000/h")]
pub struct InvalidQuota(pub(super) ());
