use crate::{
    BoxError, Call, Reply,
    balance::{Tried, Turn, Vacancy, error::Failed},
    error::{find, never_sent},
    upstream::error::Crowded,
};
use futures_util::future::{BoxFuture, Either};
use std::{
    future::{Ready, ready},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tower::{load_shed::error::Overloaded, retry::Policy};

/// Attempts of one call in all: the endpoint picked, and two siblings. More would turn the failure of a pool into a
/// storm inside it.
const ATTEMPTS: u8 = 3;
/// Endpoints that a call looks at, each time, before it takes the pool for full. A look costs a server nothing.
const LOOKS: usize = 16;

/// How long a call that finds every endpoint full waits for room, in all. A burst of short calls passes in that time; what
/// does not is refused.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest wait between two looks of a call that stands in no queue, because it needs one endpoint of several.
const PAUSE: Duration = Duration::from_millis(16);
/// The same of the first in the queue of a pool. It is told of calls that end; what becomes free otherwise is found by the clock.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// Repeats a call that failed with [`never_sent`]; everything else is passed on as it is.
///
/// An outcome is never repeated, and neither is a reply that fails after its head: its events have been passed on.
///
/// Whether the server *ran* a call that was sent cannot be known, so none is sent twice, whatever tool it names. A
/// repetition costs no budget: the server has not seen the first attempt.
///
/// The endpoint an attempt failed at is remembered in the call as [`Tried`], and a sibling is tried at once. Where all
/// are full, the call stands in the pool's [queue](Vacancy) for about a second at most, so that a burst of calls is not
/// refused; how many may wait is bounded by the limit of the stack around.
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
        } else {
            let vacancy = failed.and_then(|failed| failed.vacancy.as_ref()).filter(|vacancy| vacancy.is_for(call));
            let vacancy = vacancy.filter(|_| find::<Crowded>(&**error).is_none());
            // What room a sibling has is for those that wait already.
            let stands_behind = vacancy.is_some_and(Vacancy::is_awaited) && Turn::of(call).is_none();
            if stands_behind || !failed.is_some_and(|failed| has_sibling(call, failed)) {
                // Which of them has room by then is not known.
                Tried::forget(call);
                return self.look_again(call, vacancy);
            }
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
    tried.len() + 1 < able.unwrap_or(ATTEMPTS.into()).min(LOOKS) && !tried.contains(&failed.endpoint)
}

impl NeverSent {
    fn look_again(&mut self, call: &mut Call, vacancy: Option<&Vacancy>) -> Option<Again> {
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + PATIENCE);
        if now >= until {
            return None;
        }
        let Some(vacancy) = vacancy else {
            // Spread out, or calls that were refused together would come back together.
            return Some(Either::Right(Box::pin(sleep(PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0)))));
        };
        let (turn, joined) = in_queue(call, vacancy);
        // What became free before it joined was told to nobody.
        if joined && turn.is_first() {
            return Some(Either::Left(ready(())));
        }
        Some(Either::Right(Box::pin(wait(turn, until))))
    }
}

/// Waits for the turn of a call. Only the first of the queue looks by the clock: others would take what it was told of.
async fn wait(turn: Turn, until: Instant) {
    while timeout(LONG_PAUSE, turn.comes()).await.is_err() {
        if turn.is_first() || Instant::now() >= until {
            return;
        }
    }
}

/// The place of a call in the queue, and whether it has joined that just now.
fn in_queue(call: &mut Call, vacancy: &Vacancy) -> (Turn, bool) {
    if let Some(turn) = Turn::of(call) {
        return (turn.clone(), turn.again());
    }
    let turn = vacancy.queue();
    call.extensions.insert(turn.clone());
    (turn, true)
}
