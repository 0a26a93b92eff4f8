use super::{
    inquiry::{Inquiry, Kind, is_input_required},
    live::Events,
};
use crate::{
    BoxError, Call, Method,
    edge::running::{Inner, Running},
    error::Problem,
    json::{
        Json,
        object::{Edit, push_member},
    },
    reply::{Answer, Ask, Event, Outcome},
};
use futures_util::{StreamExt, future::join_all, stream};
use std::{collections::VecDeque, time::Duration};
use tokio::time::{sleep, timeout};

/// The most times one call is made again: more than any dialogue with a person has, and the end of a server that is
/// never content.
const MAX_ROUNDS: u32 = 10;
/// The longest a client may take to answer what a result asks: time for a person, as long as a whole call may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(300);
/// How long to wait before a call is made again whose result asks nothing, doubled each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The events of a call, made again for as long as its result is `input_required` (2026-07-28, "basic/patterns/mrtr").
///
/// What such a result asks for becomes an [`Event::Ask`] each, so whoever reads the events sees no difference to a
/// server that asks in the middle of a call.
pub(super) fn rounds<S: Inner>(inner: &S, call: Call) -> Events {
    let running = Running::start(inner, call.clone());
    if ![Method::TOOLS_CALL, Method::PROMPTS_GET, Method::RESOURCES_READ].contains(&call.method) {
        return Box::pin(running);
    }
    let rounds = Rounds { inner: inner.clone(), call, step: Step::Calling(running), made: 0 };
    Box::pin(stream::unfold(rounds, |mut rounds| async { rounds.next().await.map(|event| (event, rounds)) }))
}

struct Rounds<S> {
    inner: S,
    /// As the client made it.
    call: Call,
    step: Step,
    made: u32,
}

enum Step {
    Calling(Running),
    Asking(VecDeque<Ask>, Pending),
    Over,
}

/// What the next round needs.
struct Pending {
    answers: Vec<(String, Kind, Answer)>,
    state: Option<Json>,
}

impl<S: Inner> Rounds<S> {
    async fn next(&mut self) -> Option<Result<Event, BoxError>> {
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Over => return None,
                Step::Calling(mut running) => match running.next().await {
                    Some(Ok(Event::Done(Outcome::Result(result)))) if is_input_required(&result) => {
                        match self.ask(&result) {
                            Ok(step) => self.step = step,
                            Err(problem) => return Some(Err(problem.into())),
                        }
                    }
                    Some(Ok(event @ (Event::Note(_) | Event::Ask(_)))) => {
                        self.step = Step::Calling(running);
                        return Some(Ok(event));
                    }
                    last => return last,
                },
                Step::Asking(mut asks, pending) => match asks.pop_front() {
                    Some(ask) => {
                        self.step = Step::Asking(asks, pending);
                        return Some(Ok(Event::Ask(ask)));
                    }
                    None => match self.answered(pending).await {
                        Ok(call) => self.step = Step::Calling(Running::start(&self.inner, call)),
                        Err(end) => return Some(end.map(Event::Done)),
                    },
                },
            }
        }
    }

    fn ask(&mut self, result: &Json) -> Result<Step, Problem> {
        self.made += 1;
        if self.made > MAX_ROUNDS {
            return Err(Problem::new(502, "rounds", "the server asks for more input without end"));
        }
        let inquiry = Inquiry::read(result, &self.call)?;
        let (mut asks, mut answers) = (VecDeque::new(), Vec::new());
        for (key, kind, params) in inquiry.requests {
            let (ask, answer) = Ask::new(kind.method(), params);
            asks.push_back(ask);
            answers.push((key, kind, answer));
        }
        Ok(Step::Asking(asks, Pending { answers, state: inquiry.state }))
    }

    /// The call of the next round, or how the call ends.
    async fn answered(&mut self, pending: Pending) -> Result<Call, Result<Outcome, BoxError>> {
        if pending.answers.is_empty() {
            let doubled = PAUSE * 2u32.pow(self.made.saturating_sub(1).min(MAX_ROUNDS));
            sleep(doubled.min(LONGEST_PAUSE)).await;
        }
        let answers = pending.answers.into_iter().map(|(key, kind, answer)| async move { (key, kind, answer.await) });
        let Ok(answers) = timeout(ASK_TIMEOUT, join_all(answers)).await else {
            return Err(Err(Problem::new(504, "timeout", "the client did not answer in time").into()));
        };
        let mut responses = b"{".to_vec();
        for (key, kind, answer) in answers {
            let response = match (answer, kind) {
                (Some(Ok(response)), _) => response,
                (Some(Err(_)), Kind::Elicit) => Json::from_static(r#"{"action":"cancel"}"#),
                (Some(Err(error)), _) => return Err(Ok(Outcome::Error(error))),
                (None, _) => {
                    return Err(Err(Problem::new(503, "overloaded", "the client cannot be asked").into()));
                }
            };
            push_member(&mut responses, &key, response.as_bytes());
        }
        responses.push(b'}');
        let responses = match &responses[..] {
            b"{}" => Edit::Remove("inputResponses"),
            all => Edit::Set("inputResponses", all),
        };
        let state = match &pending.state {
            Some(state) => Edit::Set("requestState", state.as_bytes()),
            None => Edit::Remove("requestState"),
        };
        let mut call = self.call.clone();
        call.params = call.params.edit(&[responses, state]);
        Ok(call)
    }
}
