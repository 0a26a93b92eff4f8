use super::{Mux, Slot, State, waiter::Waiter};
#[cfg(any(test, feature = "sse", feature = "stdio"))]
use crate::upstream::error::TooLarge;
use crate::{BoxError, upstream::error::Protocol};
use std::borrow::Cow;

/// Answers that arrived and could not be read, or bore an id that no request had.
///
/// Each was meant for one of the calls that were in flight then. The others are told apart as they are answered, report
/// progress or are given up; as soon as no more are left than answers are lost, those are the ones.
#[derive(Debug, Default)]
pub(super) struct Lost {
    answers: usize,
    /// What was wrong with the latest.
    reason: Option<Reason>,
}

/// Why an answer cannot be read.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    Protocol(Cow<'static, str>),
    /// Above this many bytes.
    #[cfg(any(test, feature = "sse", feature = "stdio"))]
    TooLarge(usize),
}

impl From<Reason> for BoxError {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Protocol(reason) => Protocol(reason).into(),
            #[cfg(any(test, feature = "sse", feature = "stdio"))]
            Reason::TooLarge(limit) => TooLarge { limit }.into(),
        }
    }
}

impl Mux {
    /// An answer was skipped because it is above `limit` bytes: it fails the call with this id, or, where its id cannot be
    /// read, the one that it must have been meant for, as soon as that is known.
    #[cfg(any(test, feature = "sse", feature = "stdio"))]
    pub(in crate::upstream) fn too_large(&self, id: Option<u64>, limit: usize) {
        if let Some(id) = id {
            return self.fail(id, TooLarge { limit });
        }
        let wakers = self.lock().lose(Reason::TooLarge(limit));
        wakers.into_iter().for_each(Waiter::wake);
    }
}

impl State {
    /// An answer is lost, for this reason.
    pub(super) fn lose(&mut self, reason: Reason) -> Vec<Waiter> {
        let mut any = false;
        for slot in self.slots.values_mut().filter(|slot| slot.awaits_answer()) {
            (slot.suspect, any) = (true, true);
        }
        if !any {
            return Vec::new();
        }
        self.lost.answers += 1;
        self.lost.reason = Some(reason);
        self.convict()
    }

    /// The call has shown that no lost answer was its own.
    pub(super) fn clear(&mut self, id: u64) -> Vec<Waiter> {
        if self.lost.answers == 0 {
            return Vec::new();
        }
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.suspect = false;
        }
        self.convict()
    }

    /// A call was given up that nobody had answered. Its answer may be the one that was lost, so that there is one less
    /// to look for: no other call may fail for it.
    pub(super) fn given_up(&mut self, slot: &Slot) {
        if slot.suspect && slot.is_open() {
            self.lost.answers = self.lost.answers.saturating_sub(1);
            if self.lost.answers == 0 {
                self.slots.values_mut().for_each(|slot| slot.suspect = false);
            }
        }
    }

    /// Fails the calls whose answers must be those that were lost.
    fn convict(&mut self) -> Vec<Waiter> {
        let suspects = self.slots.values().filter(|slot| slot.suspect && slot.is_open()).count();
        if suspects > self.lost.answers {
            return Vec::new();
        }
        let Lost { reason, .. } = std::mem::take(&mut self.lost);
        let fail = |slot: &mut Slot| {
            let is_lost = std::mem::take(&mut slot.suspect);
            slot.end(Err(reason.clone().filter(|_| is_lost)?.into()))
        };
        self.slots.values_mut().filter_map(fail).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Mux, Ticket,
        tests::{connected, deliver, progress, sent},
    };
    use crate::{
        Method,
        upstream::error::{Protocol, TooLarge},
    };
    use futures_util::FutureExt;

    /// Delivers an answer that nobody can read.
    fn lose(mux: &Mux) {
        assert!(mux.deliver(r#"{"jsonrpc":"2.0","result":{"#.into()).is_err());
    }

    #[test]
    fn of_several_lost_answers_each_fails_its_call_once_the_others_have_shown_that_they_live() {
        let mux = connected();
        let params = r#"{"_meta":{"progressToken":"mine"}}"#;
        let mut calls: Vec<_> = (0..5).map(|_| sent(&mux, Method::TOOLS_CALL, params)).collect();
        lose(&mux);
        lose(&mux);
        let later = sent(&mux, Method::TOOLS_CALL, params);
        deliver(&mux, progress(1, 1));
        deliver(&mux, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.into());
        assert!(calls.iter_mut().skip(2).all(|call| call.now_or_never().is_none()), "two of three");
        deliver(&mux, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#.into());
        let failed =
            |call: Ticket| call.now_or_never().is_some_and(|reply| reply.is_err_and(|error| error.is::<Protocol>()));
        let failed: Vec<_> = calls.into_iter().skip(1).map(failed).collect();
        assert_eq!(failed, [false, true, false, true]);
        assert!(later.now_or_never().is_none(), "it was not there yet");
    }

    #[test]
    fn an_answer_above_the_limit_fails_its_call_or_the_one_that_it_must_have_been_for() {
        let mux = connected();
        let [mut first, mut second, third] = [(); 3].map(|()| sent(&mux, Method::TOOLS_CALL, "{}"));
        mux.too_large(Some(3), 9);
        assert!(third.now_or_never().unwrap().unwrap_err().is::<TooLarge>());
        mux.too_large(None, 9);
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
        assert!(second.now_or_never().unwrap().unwrap_err().is::<TooLarge>());
    }

    #[test]
    fn a_call_that_is_given_up_may_be_the_one_whose_answer_was_lost() {
        let mux = connected();
        let mut calls = [(); 3].map(|()| sent(&mux, Method::TOOLS_CALL, "{}"));
        lose(&mux);
        drop(std::mem::replace(&mut calls[0], sent(&mux, Method::TOOLS_CALL, "{}")));
        deliver(&mux, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.into());
        assert!((&mut calls[2]).now_or_never().is_none(), "it may be alive");
        // And with a new connection all is forgotten.
        lose(&mux);
        mux.connect();
        let mut calls = [(); 2].map(|()| sent(&mux, Method::TOOLS_CALL, "{}"));
        deliver(&mux, format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, calls[0].id()));
        assert!((&mut calls[1]).now_or_never().is_none());
    }
}
