//! How waiting ends.

use std::time::Duration;

/// The server was silent for too long, or the call took too long in all.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} ms", .0.as_millis())]
pub struct Elapsed(pub(super) Duration, pub(super) Limit);

impl Elapsed {
    /// Which of a call's deadlines it was.
    pub const fn limit(&self) -> Limit {
        self.1
    }
}

/// The deadlines of a call.
///
/// A layer of your own tells by it whether a server said nothing or only took long:
///
/// ```
/// use tower_mcp_gateway::{BoxError, error::find, timeout::error::{Elapsed, Limit}};
///
/// fn is_hanging(error: &BoxError) -> bool {
///     find::<Elapsed>(&**error).is_some_and(|elapsed| elapsed.limit() == Limit::Silence)
/// }
/// assert!(!is_hanging(&"something else".into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The longest silence of a server.
    Silence,
    /// The longest time in all.
    Total,
    /// The longest wait for a person's answer to a server's question.
    Ask,
}

/// The call was still running when the time that a gateway gives its calls at the end was over, or came when the end had begun.
#[derive(Debug, thiserror::Error)]
#[error("the gateway is shutting down")]
pub struct Stopping(pub(crate) ());
