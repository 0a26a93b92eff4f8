use super::{deadline::Due, head::Refused, response::WrongLength};
use crate::BoxError;
use http::StatusCode;
use std::io;

/// Why a connection ends before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client went away")]
    Gone,
    #[error("{}", late(.0))]
    Late(Due),
    #[error("{}", .0.1)]
    Refused(Refused),
    #[error("the stream failed")]
    Io(#[from] io::Error),
    #[error("the body of an answer broke off")]
    Body(#[source] BoxError),
    #[error(transparent)]
    WrongLength(#[from] WrongLength),
}

fn late(due: &Due) -> &'static str {
    match due {
        Due::Request => "a request took too long to arrive",
        Due::Idle => "no request came",
        Due::Stall => "the client reads nothing",
        Due::Linger => "the client does not stop sending",
    }
}

impl Ended {
    pub(super) fn malformed(why: &'static str) -> Self {
        Refused(StatusCode::BAD_REQUEST, why).into()
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
