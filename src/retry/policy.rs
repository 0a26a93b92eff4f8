use crate::{
    BoxError, Call, Reply,
    balance::{
        Queued, Tried, Turn,
        error::{Failed, NoEndpoint},
    },
    error::{find, never_sent},
    rate::error::Exceeded,
    upstream::error::Crowded,
};
use futures_util::future::{BoxFuture, Either};
use std::{
    future::{Ready, ready},
    mem,
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tower::{load_shed::error::Overloaded, retry::Policy};

/// Attempts of one call in all: the endpoint picked, and two siblings. More would turn the failure of a pool into a
/// storm inside it.
const ATTEMPTS: u8 = 3;
/// Endpoints that a call looks at, each time, before it takes the pool for full. A look costs a server nothing.
const LOOKS: usize = 16;

/// How long a call that stands in no queue waits for a full endpoint, in all.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest wait between two looks of a call that stands in no queue, because it needs one endpoint of several.
const PAUSE: Duration = Duration::from_millis(16);

/// Repeats a call that failed with [`never_sent`]; everything else is passed on as it is.
///
/// An outcome is never repeated, and neither is a reply that fails after its head: its events have been passed on.
///
/// Whether the server *ran* a call that was sent cannot be known, so none is sent twice, whatever tool it names. A
/// repetition costs no budget: the server has not seen the first attempt.
///
/// The endpoint an attempt failed at is remembered in the call as [`Tried`], and a sibling is tried at once. Where all
/// are full, the call stands in the pool's [queue](crate::balance::Vacancy) for about a second at most, so that a burst of calls is not
/// refused; how many may wait is bounded by the limit of the stack around.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use tower::{Layer, ServiceExt, retry::RetryLayer, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::Params, retry::NeverSent, upstream::error::Closed};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// static SENT: AtomicUsize = AtomicUsize::new(0);
/// let lost = service_fn(async |_: Call| {
///     SENT.fetch_add(1, Ordering::Relaxed);
///     Err::<Reply, BoxError>(Closed { sent: true }.into())
/// });
/// let pool = RetryLayer::new(NeverSent::default()).layer(lost);
/// assert!(pool.oneshot(Call::new(Method::TOOLS_CALL, Params::empty())).await.is_err());
/// assert_eq!(SENT.load(Ordering::Relaxed), 1, "it may have run");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NeverSent {
    // Of this call: tower clones the policy for each.
    left: u8,
    /// When to give up a full endpoint; `None` until one was met.
    until: Option<Instant>,
    first: First,
}

/// Why the first attempt failed; of one call, so clones have none.
#[derive(Debug, Default)]
pub(super) struct First(Option<BoxError>);

impl Clone for First {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl First {
    /// Keeps the failure of an attempt that is repeated, but not its turn: what that was told of is for others once it is let go.
    pub(super) fn keep(&mut self, result: &mut Result<Reply, BoxError>) {
        let says_little =
            |error: &BoxError| find::<NoEndpoint>(&**error).is_some() || find::<Overloaded>(&**error).is_some();
        if self.0.is_none()
            && let Err(error) = result
            && !says_little(error)
        {
            let mut error = mem::replace(error, Overloaded::new().into());
            if let Some(failed) = error.downcast_mut::<Failed>() {
                (failed.vacancy, failed.turn) = (None, None);
            }
            self.0 = Some(error);
        }
    }

    /// Where nobody was left to repeat it, the failure is the answer: that a server is out since says less than how it failed.
    pub(super) fn restore(&mut self, result: &mut Result<Reply, BoxError>) {
        if let Err(error) = result
            && find::<NoEndpoint>(&**error).is_some()
            && let Some(first) = self.0.take()
        {
            *error = first;
        }
    }
}

/// When a call is repeated: at once, or once there may be room.
pub(super) type Again = Either<Ready<()>, BoxFuture<'static, ()>>;

impl Default for NeverSent {
    fn default() -> Self {
        Self { left: ATTEMPTS - 1, until: None, first: First::default() }
    }
}

impl Policy<Call, Reply, BoxError> for NeverSent {
    type Future = Again;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, BoxError>) -> Option<Self::Future> {
        let again = self.again(call, result);
        match again.is_some() {
            true => self.first.keep(result),
            false => self.first.restore(result),
        }
        again
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

impl NeverSent {
    /// When to repeat a call, and where not to.
    fn again(&mut self, call: &mut Call, result: &Result<Reply, BoxError>) -> Option<Again> {
        let error = result.as_ref().err()?;
        if !never_sent(&**error) {
            return None;
        }
        let failed = find::<Failed>(&**error);
        if find::<Exceeded>(&**error).is_some() {
            // It costs nobody anything to see whether a sibling may be called; to wait for one would be to get around the rate.
            failed.filter(|failed| has_sibling(call, failed))?;
        } else if find::<Overloaded>(&**error).is_none() {
            self.left = self.left.checked_sub(1)?;
        } else if failed.is_some_and(|failed| has_sibling(call, failed)) {
            // It was told of room that a sibling may have.
            if let Some(turn) = failed.and_then(|failed| failed.turn.clone()) {
                call.extensions.insert(turn);
            }
        } else {
            // Which of them has room by then is not known.
            Tried::forget(call);
            return match failed.filter(|failed| may_queue(call, failed)) {
                Some(failed) => queue(call, failed),
                None => {
                    // What it may have been told is for others.
                    call.extensions.remove::<Turn>();
                    self.look_again()
                }
            };
        }
        if let Some(failed) = failed {
            Tried::remember(call, failed.endpoint.clone());
        }
        Some(Either::Left(ready(())))
    }

    fn look_again(&mut self) -> Option<Again> {
        let now = Instant::now();
        if now >= *self.until.get_or_insert(now + PATIENCE) {
            return None;
        }
        // Spread out, or calls that were refused together would come back together.
        Some(Either::Right(Box::pin(sleep(PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0)))))
    }
}

/// Whether one that was not looked at yet may have room.
fn has_sibling(call: &Call, failed: &Failed) -> bool {
    let (tried, able) = (Tried::of(call), call.providers.as_ref().map(|providers| providers.endpoints().len()));
    tried.len() + 1 < able.unwrap_or(ATTEMPTS.into()).min(LOOKS) && !tried.contains(&failed.endpoint)
}

/// Whether the call can use whatever becomes free in the pool.
fn may_queue(call: &Call, failed: &Failed) -> bool {
    let is_crowded = || find::<Crowded>(&*failed.source).is_some();
    failed.vacancy.as_ref().is_some_and(|vacancy| vacancy.is_for(call)) && !is_crowded()
}

/// Has the call stand in the queue of its pool.
#[cold]
fn queue(call: &mut Call, failed: &Failed) -> Option<Again> {
    let known = Turn::of(call).or(failed.turn.as_ref()).cloned();
    let (turn, joined) = match known {
        Some(turn) => (turn.clone(), turn.again()),
        None => (failed.vacancy.as_ref()?.queue(), true),
    };
    if Instant::now() >= turn.until() {
        return None;
    }
    call.extensions.insert(turn.clone());
    // What became free before it joined was told to nobody.
    let looks_at_once = joined && turn.is_opener();
    Some(if looks_at_once { Either::Left(ready(())) } else { Either::Right(Box::pin(Queued::new(turn))) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{balance::Vacancy, upstream::error::Connect};

    #[test]
    fn a_failure_that_is_kept_keeps_no_place_in_the_queue() {
        let vacancy = Vacancy::default();
        let (source, turn) = (Connect("refused".into()).into(), Some(vacancy.queue()));
        let failed = Failed { endpoint: "a".into(), source, vacancy: Some(vacancy.clone()), turn };
        let (mut first, mut result) = (First::default(), Err(failed.into()));
        assert!(vacancy.is_awaited());
        first.keep(&mut result);
        assert!(!vacancy.is_awaited());
        result = Err(NoEndpoint { server: "s".into() }.into());
        first.restore(&mut result);
        assert!(find::<Connect>(&*result.unwrap_err()).is_some());
    }
}
