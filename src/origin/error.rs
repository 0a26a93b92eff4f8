//! Why a request is not let in.

use http::StatusCode;

/// A request that did not come from where it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// `Origin` names a page that is not allowed, or no page.
    #[error("the origin of the request is not allowed")]
    Origin,
    /// `Host` names a host that is not served.
    #[error("the host of the request is not served here")]
    Host,
    /// There is no `Host`, or more than one.
    #[error("exactly one Host is required")]
    HostCount,
}

impl Forbidden {
    /// The status of the answer: 400 where the request is not HTTP, 403 otherwise.
    pub fn status(self) -> StatusCode {
        match self {
            Forbidden::Origin | Forbidden::Host => StatusCode::FORBIDDEN,
            Forbidden::HostCount => StatusCode::BAD_REQUEST,
        }
    }
}
