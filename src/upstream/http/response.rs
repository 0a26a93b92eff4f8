use super::body::Messages;
use crate::{BoxError, reply::Outcome, upstream::client::Sending};
use futures_util::future::BoxFuture;

/// How far the response to a request has come. The stages take each other's room.
pub(super) enum Response {
    /// Its head has not come; with whether a large result may be passed on as it arrives.
    Awaited(Sending, bool),
    /// Its status is no success, and what it says instead is read.
    Refused(BoxFuture<'static, Result<Outcome, BoxError>>),
    Coming(Messages),
}
