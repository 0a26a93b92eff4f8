use crate::{
    BoxError, Call,
    error::{Problem, find, is_connection},
    health::{Vital, error::Open, reason::reason, vital::Admission},
    timeout::Lapse,
    upstream::error::Replaced,
};
use tower::load_shed::error::Overloaded;

/// One call being watched. It reports once: how the call ended, or, when dropped before, why.
#[derive(Debug)]
pub(super) struct Witness {
    vital: Vital,
    // None once the end has been reported.
    admission: Option<Admission>,
    lapse: Option<Lapse>,
}

impl Witness {
    pub(super) fn admit(vital: &Vital, call: &Call) -> Result<Self, Open> {
        let admission = Some(vital.admit()?);
        Ok(Self { vital: vital.clone(), admission, lapse: call.extensions.get().cloned() })
    }

    /// The server said something, but not the last.
    pub(super) fn answered(&self) {
        if let Some(admission) = self.admission {
            self.vital.answered(admission);
        }
    }

    pub(super) fn succeeded(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.vital.succeeded(admission);
        }
    }

    pub(super) fn failed(&mut self, error: &BoxError) {
        let Some(admission) = self.admission.take() else { return };
        if is_neutral(error) {
            self.vital.released(admission);
        } else if is_connection(&**error) {
            self.vital.disconnected(admission, &reason(&**error));
        } else {
            self.vital.failed(admission);
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        if self.lapse.as_ref().is_some_and(Lapse::is_set) {
            self.vital.failed(admission);
        } else {
            self.vital.released(admission);
        }
    }
}

/// Errors the gateway made itself, which tell nothing about the server.
fn is_neutral(error: &BoxError) -> bool {
    let error = &**error;
    find::<Overloaded>(error).is_some()
        || find::<Open>(error).is_some()
        || find::<Replaced>(error).is_some()
        || find::<Problem>(error).is_some()
}
