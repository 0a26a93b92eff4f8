use crate::{
    BoxError, Call, Reply,
    balance::{Tried, Vacancy, error::Failed},
    error::{find, never_sent},
};
use futures_util::future::{BoxFuture, Either};
use std::{
    future::{Ready, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tower::{load_shed::error::Overloaded, retry::Policy};

/// Attempts of one call in all: the endpoint picked, and two siblings. More would turn the failure of a pool into a
/// storm inside it. As many are looked at, each time, by a call that finds them full.
const ATTEMPTS: u8 = 3;

/// How long a call that finds every endpoint full waits for room, in all. A burst of short calls passes in that time; what
/// does not is refused.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest wait between two looks. It is cut short when another call of the pool ends; only a place that becomes free
/// in the moment between a look and the wait is found by the clock.
const PAUSE: Duration = Duration::from_millis(16);

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
    /// When to give up a full pool; `None` until one was met.
    until: Option<Instant>,
}

/// When a call is repeated: at once, or once there may be room.
pub(super) type Again = Either<Ready<()>, BoxFuture<'static, ()>>;

impl Default for NeverSent {
    fn default() -> Self {
        Self { left: ATTEMPTS - 1, until: None }
    }
}

impl Policy<Call, Reply, BoxError> for NeverSent {
    type Future = Again;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, BoxError>) -> Option<Self::Future> {
        let error = result.as_ref().err()?;
        if !never_sent(&**error) {
            return None;
        }
        let failed = find::<Failed>(&**error);
        if find::<Overloaded>(&**error).is_none() {
            self.left = self.left.checked_sub(1)?;
        } else if !failed.is_some_and(|failed| has_sibling(call, failed)) {
            // Which of them has room by then is not known.
            Tried::forget(call);
            return self.look_again(failed.and_then(|failed| failed.vacancy.clone()));
        }
        if let Some(failed) = failed {
            Tried::remember(call, failed.endpoint.clone());
        }
        Some(Either::Left(ready(())))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

/// Whether one that was not looked at yet may have room.
fn has_sibling(call: &Call, failed: &Failed) -> bool {
    let (tried, able) = (Tried::of(call), call.providers.as_ref().map(|providers| providers.endpoints().len()));
    tried.len() + 1 < able.unwrap_or(usize::MAX).min(ATTEMPTS.into()) && !tried.contains(&failed.endpoint)
}

impl NeverSent {
    fn look_again(&mut self, vacancy: Option<Vacancy>) -> Option<Again> {
        let now = Instant::now();
        if now >= *self.until.get_or_insert(now + PATIENCE) {
            return None;
        }
        // Spread out, or calls that were refused together would come back together.
        let pause = PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0);
        Some(Either::Right(Box::pin(async move {
            match vacancy {
                Some(vacancy) => drop(timeout(pause, vacancy.freed()).await),
                None => sleep(pause).await,
            }
        })))
    }
}
