use crate::{
    BoxError, Call, Reply,
    balance::{Tried, error::Failed},
    error::{find, never_sent},
};
use futures_util::future::Either;
use std::{
    future::{Ready, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tower::{load_shed::error::Overloaded, retry::Policy};

/// Attempts of one call in all: the endpoint picked, and two siblings. More would turn the failure of a pool into a
/// storm inside it.
const ATTEMPTS: u8 = 3;

/// How often a call that finds every endpoint full looks again, with pauses from [`FIRST_PAUSE`] that double up to
/// [`LONGEST_PAUSE`]: about a second in all. A burst of short calls passes in that time; what does not is refused.
const LOOKS: u8 = 66;
/// The pause before a full pool is looked at for the first time again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longer ones would leave places free that a waiting call could have; shorter ones would look in vain for a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Repeats a call that failed with [`never_sent`]; everything else is passed on as it is.
///
/// An outcome is never repeated, and neither is a reply that fails after its head: its events have been passed on.
///
/// Whether the server *ran* a call that was sent cannot be known, so none is sent twice, whatever tool it names. A
/// repetition costs no budget: the server has not seen the first attempt.
///
/// The endpoint an attempt failed at is remembered in the call as [`Tried`], and a sibling is tried at once. Where all
/// are full, the call waits for about a second at most, so that a burst of calls is not refused; how many may wait is
/// bounded by the limit of the stack around.
#[derive(Clone, Debug)]
pub struct NeverSent {
    // Of this call: tower clones the policy for each.
    left: u8,
    looks: u8,
}

impl Default for NeverSent {
    fn default() -> Self {
        Self { left: ATTEMPTS - 1, looks: 0 }
    }
}

impl Policy<Call, Reply, BoxError> for NeverSent {
    type Future = Either<Ready<()>, Sleep>;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, BoxError>) -> Option<Self::Future> {
        let error = result.as_ref().err()?;
        if !never_sent(&**error) {
            return None;
        }
        let failed = find::<Failed>(&**error);
        let again = failed.is_some_and(|failed| Tried::of(call).contains(&failed.endpoint));
        if find::<Overloaded>(&**error).is_some() && (again || self.left == 0) {
            return self.look_again();
        }
        self.left = self.left.checked_sub(1)?;
        if let Some(failed) = failed {
            Tried::remember(call, failed.endpoint.clone());
        }
        Some(Either::Left(ready(())))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

impl NeverSent {
    fn look_again(&mut self) -> Option<Either<Ready<()>, Sleep>> {
        if self.looks == LOOKS {
            return None;
        }
        let pause = (FIRST_PAUSE * (1 << self.looks.min(4))).min(LONGEST_PAUSE);
        self.looks += 1;
        // Spread out, or calls that were refused together would come back together.
        Some(Either::Right(sleep(pause.mul_f64(0.5 + fastrand::f64()))))
    }
}
