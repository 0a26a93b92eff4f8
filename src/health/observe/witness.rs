use crate::{
    BoxError, Call,
    error::{Problem, find, is_connection},
    health::{Vital, error::Open, reason::reason, vital::Admission},
    metrics::{Calls, Kind, Outcome},
    reply::{self, Event, Watch},
    timeout::Lapse,
    upstream::error::{Replaced, Unwelcome},
};
use std::time::Duration;
use tokio::time::Instant;
use tower::load_shed::error::Overloaded;

/// One call being watched. It reports once: how the call ended, or, when dropped before, why.
#[derive(Debug)]
pub(super) struct Witness {
    vital: Vital,
    // None once the end has been reported.
    admission: Option<Admission>,
    lapse: Option<Lapse>,
    calls: Calls,
    kind: Kind,
    began: Instant,
}

impl Witness {
    pub(super) fn admit(vital: &Vital, calls: &Calls, call: &Call) -> Result<Self, Open> {
        let kind = Kind::of(&call.method);
        let admission = vital.admit().inspect_err(|_| calls.ended(kind, Outcome::Refused, Duration::ZERO))?;
        let (vital, lapse) = (vital.clone(), call.lapse.clone());
        Ok(Self { vital, admission: Some(admission), lapse, calls: calls.clone(), kind, began: Instant::now() })
    }

    fn ended(&self, outcome: Outcome) {
        self.calls.ended(self.kind, outcome, self.began.elapsed());
    }

    /// The server said something, but not the last.
    pub(super) fn answered(&self) {
        if let Some(admission) = self.admission {
            self.vital.answered(admission);
        }
    }

    pub(super) fn succeeded(&mut self, outcome: &reply::Outcome) {
        if let Some(admission) = self.admission.take() {
            self.vital.succeeded(admission);
            self.ended(match outcome {
                reply::Outcome::Error(_) => Outcome::Error,
                reply::Outcome::Result(_) | reply::Outcome::Passed(_) | reply::Outcome::Accepted => Outcome::Result,
            });
        }
    }

    pub(super) fn failed(&mut self, error: &BoxError) {
        let Some(admission) = self.admission.take() else { return };
        let neutral = is_neutral(error);
        self.ended(if neutral { Outcome::Refused } else { Outcome::Failed });
        if neutral {
            self.vital.released(admission);
        } else if is_connection(&**error) {
            self.vital.disconnected(admission, &reason(&**error));
        } else {
            self.vital.failed(admission);
        }
    }
}

impl Watch for Witness {
    fn end(&mut self, end: &Result<Event, BoxError>) {
        match end {
            Ok(Event::Done(outcome)) => self.succeeded(outcome),
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        if self.lapse.as_ref().is_some_and(Lapse::is_set) {
            self.ended(Outcome::TimedOut);
            self.vital.failed(admission);
        } else {
            self.ended(Outcome::Cancelled);
            self.vital.released(admission);
        }
    }
}

/// Errors that tell nothing about the server: those the gateway made itself, and those a client brought about.
fn is_neutral(error: &BoxError) -> bool {
    let error = &**error;
    find::<Overloaded>(error).is_some()
        || find::<Open>(error).is_some()
        || find::<Replaced>(error).is_some()
        || find::<Unwelcome>(error).is_some()
        || find::<Problem>(error).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::error::Refused;

    #[test]
    fn what_a_server_says_to_one_client_is_no_sign_of_how_it_is() {
        assert!(is_neutral(&Unwelcome("not you".into()).into()));
        assert!(!is_neutral(&Refused("nobody".into()).into()));
    }
}
