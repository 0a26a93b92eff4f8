use crate::{
    BoxError, Call, Reply,
    balance::{Tried, error::Failed},
    error::{find, never_sent},
};
use std::future::{Ready, ready};
use tower::retry::Policy;

/// Attempts of one call in all: the endpoint picked, and two siblings. More would turn the failure of a pool into a
/// storm inside it.
const ATTEMPTS: u8 = 3;

/// Repeats a call that failed with [`never_sent`]; everything else is passed on as it is.
///
/// An outcome is never repeated, and neither is a reply that fails after its head: its events have been passed on.
///
/// Whether the server *ran* a call that was sent cannot be known, so none is sent twice, whatever tool it names. A
/// repetition costs no delay and no budget: the server has not seen the first attempt.
///
/// The endpoint an attempt failed at is remembered in the call as [`Tried`].
#[derive(Clone, Debug)]
pub struct NeverSent {
    // Of this call: tower clones the policy for each.
    left: u8,
}

impl Default for NeverSent {
    fn default() -> Self {
        Self { left: ATTEMPTS - 1 }
    }
}

impl Policy<Call, Reply, BoxError> for NeverSent {
    type Future = Ready<()>;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, BoxError>) -> Option<Self::Future> {
        let error = result.as_ref().err()?;
        if self.left == 0 || !never_sent(&**error) {
            return None;
        }
        self.left -= 1;
        if let Some(failed) = find::<Failed>(&**error) {
            Tried::remember(call, failed.endpoint.clone());
        }
        Some(ready(()))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}
