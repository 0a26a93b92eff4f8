//! How a rate is exceeded.

use super::Quota;
use std::time::Duration;

/// The calls of a [`Quota`] are used up. The call was not sent.
///
/// So another server may take it at once, and a client is told when to come again:
///
/// ```
/// use tower_mcp_gateway::{error::{explain, never_sent}, rate::Bucket};
///
/// let bucket = Bucket::new("1/min".parse()?);
/// bucket.take()?;
/// let exceeded = bucket.take().unwrap_err();
/// assert!(never_sent(&exceeded) && exceeded.retry_after.as_secs() < 60);
/// assert_eq!(explain(&exceeded).retry_after, Some(exceeded.retry_after));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
