use crate::{
    BoxError, Call, clock,
    error::{Problem, find, is_connection},
    health::{Vital, error::Open, reason::reason, vital::Admission},
    metrics::{Calls, Kind, Outcome},
    reply::{self, Event, Watch},
    timeout::Lapse,
    upstream::error::{Replaced, Status, Unwelcome},
};
use http::StatusCode;
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
        Ok(Self { vital, admission: Some(admission), lapse, calls: calls.clone(), kind, began: clock::now() })
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
        if neutral || is_about_the_call(error) {
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
        let lapse = self.lapse.as_ref();
        if lapse.is_some_and(Lapse::is_set) {
            self.ended(Outcome::TimedOut);
            self.vital.failed(admission);
        } else {
            let is_over = lapse.is_some_and(Lapse::is_over);
            self.ended(if is_over { Outcome::TimedOut } else { Outcome::Cancelled });
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

/// Whether the server, or what stands in front of it, found fault with the call and not with who sends it: any client can bring
/// that about, and the next call may be another.
fn is_about_the_call(error: &BoxError) -> bool {
    const OF_THE_CALL: [StatusCode; 6] = [
        StatusCode::BAD_REQUEST,
        StatusCode::CONFLICT,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::URI_TOO_LONG,
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ];
    find::<Status>(&**error).is_some_and(|Status(status)| OF_THE_CALL.contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, health::Board, json::Params, upstream::error::Refused};

    #[test]
    fn what_a_server_says_to_one_client_is_no_sign_of_how_it_is() {
        assert!(is_neutral(&Unwelcome("not you".into()).into()));
        assert!(!is_neutral(&Refused("nobody".into()).into()));
        let is_about_the_call = |code| is_about_the_call(&Status(StatusCode::from_u16(code).unwrap()).into());
        assert!([400, 413, 422].into_iter().all(is_about_the_call));
        assert!(![401, 403, 404, 405, 408, 429, 500, 502].into_iter().any(is_about_the_call));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_says_who_ended_it() {
        let (board, calls) = (Board::default(), Calls::default());
        let vital = board.endpoint(&"a".into());
        for (end, outcome) in
            [(None, Outcome::Cancelled), (Some(false), Outcome::TimedOut), (Some(true), Outcome::TimedOut)]
        {
            let before = calls.total(outcome);
            let (mut call, lapse) = (Call::new(Method::TOOLS_CALL, Params::empty()), Lapse::default());
            call.lapse = Some(lapse.clone());
            let witness = Witness::admit(&vital, &calls, &call).unwrap();
            match end {
                Some(true) => lapse.set(),
                Some(false) => lapse.end(),
                None => {}
            }
            drop(witness);
            assert_eq!(calls.total(outcome), before + 1, "{outcome:?}");
        }
    }
}
