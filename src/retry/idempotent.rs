use super::{
    Marks, NeverSent,
    policy::{Again, First},
};
use crate::{
    BoxError, Call, Method, Reply,
    balance::{
        Tried,
        error::{Failed, NoEndpoint},
    },
    error::find,
    metrics::{Count, Metrics},
    upstream::error::{Closed, Status},
};
use futures_util::future::Either;
use http::StatusCode;
use std::{future::ready, sync::Arc, time::Duration};
use tokio::time::sleep;
use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

/// The share of a pool's calls that may be sent again. When every server of a pool fails, repeating each call would
/// double the load of what is failing already.
const SHARE: f32 = 0.1;
/// The time over which the share is taken.
const WINDOW: Duration = Duration::from_secs(10);
/// Repeats per second that do not count against the share, so that a pool with few calls has some at all.
const RESERVE: u32 = 1;
/// The pause before a call goes to the server that failed it, where that is the only one that is well: a connection that was
/// lost is made anew meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// [`NeverSent`], and beyond it one repeat of a call that *was* sent, where running it twice does no harm.
///
/// All of this must hold:
///
/// - the call is a `tools/call` of a tool in the pool's [`Marks`], and does not go on with an earlier one;
/// - it failed because its connection was lost or with HTTP status 502, 503 or 504, before its first event. A silent
///   server is not asked again: a call that is too slow once mostly is so twice, and its deadline is over anyway;
/// - it is the first repeat of this call, two attempts in all;
/// - the budget allows it: a tenth of the pool's calls, taken over 10 s, and one each second beside them.
///
/// What is not repeated fails as it would without this policy.
#[derive(Clone, Debug)]
pub struct Idempotent {
    never_sent: NeverSent,
    shared: Arc<Shared>,
    // Of this call: tower clones the policy for each.
    counted: bool,
    resent: bool,
    paused: bool,
    first: First,
}

#[derive(Debug)]
struct Shared {
    marks: Marks,
    budget: TpsBudget,
    metrics: Metrics,
}

impl Idempotent {
    /// A policy for one pool; its clones share the budget.
    pub fn new(marks: Marks) -> Self {
        Self::counting(marks, Metrics::default())
    }

    /// [`new`](Self::new), which counts in `metrics` what it repeats.
    pub fn counting(marks: Marks, metrics: Metrics) -> Self {
        let budget = TpsBudget::new(WINDOW, RESERVE, SHARE);
        let shared = Arc::new(Shared { marks, budget, metrics });
        Self {
            never_sent: NeverSent::default(),
            shared,
            counted: false,
            resent: false,
            paused: false,
            first: First::default(),
        }
    }

    fn may_run_twice(&self, call: &Call) -> bool {
        let is_marked = || call.params.name().is_some_and(|tool| self.shared.marks.contains(&tool));
        call.method == Method::TOOLS_CALL && call.pin.is_none() && is_marked()
    }
}

impl Policy<Call, Reply, BoxError> for Idempotent {
    type Future = Again;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, BoxError>) -> Option<Self::Future> {
        // A budget from which nothing can be taken need not grow: all calls of a pool would write to it.
        if !self.counted && !self.shared.marks.is_empty() {
            self.counted = true;
            self.shared.budget.deposit();
        }
        if self.resent && !self.paused && result.as_ref().is_err_and(|error| find::<NoEndpoint>(&**error).is_some()) {
            // Its connection was lost a moment ago, and may be back as soon.
            self.paused = true;
            Tried::forget(call);
            return Some(Either::Right(Box::pin(sleep(PAUSE))));
        }
        if let Some(again) = self.never_sent.retry(call, result) {
            self.shared.metrics.count(Count::Unsent);
            return Some(again);
        }
        self.first.restore(result);
        let error = result.as_ref().err()?;
        if self.resent || !is_transient(error) || !self.may_run_twice(call) {
            return None;
        }
        if !self.shared.budget.withdraw() {
            self.shared.metrics.count(Count::OverBudget);
            return None;
        }
        self.shared.metrics.count(Count::Idempotent);
        self.resent = true;
        if let Some(failed) = find::<Failed>(&**error) {
            tracing::debug!(endpoint = %failed.endpoint, "a call that may run twice is sent again");
            Tried::remember(call, failed.endpoint.clone());
        }
        let alone = call.providers.as_ref().is_some_and(|providers| providers.endpoints().len() <= 1);
        self.paused = alone;
        self.first.keep(result);
        Some(if alone { Either::Right(Box::pin(sleep(PAUSE))) } else { Either::Left(ready(())) })
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

/// Whether another attempt may meet something else than the first did.
fn is_transient(error: &BoxError) -> bool {
    const PASSING: [StatusCode; 3] =
        [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    find::<Closed>(&**error).is_some() || find::<Status>(&**error).is_some_and(|status| PASSING.contains(&status.0))
}
