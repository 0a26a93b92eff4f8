use super::inquiry::{Inquiry, Kind};
use crate::{
    BoxError, Call, Method,
    edge::{
        EdgeLayer,
        running::{Inner, Running},
    },
    error::Problem,
    json::{
        Json,
        object::{Edit, push_member},
    },
    metrics::{Count, Metrics},
    reply::{Answer, Ask, Event, Outcome},
};
use futures_util::{
    Stream, StreamExt,
    future::{BoxFuture, join_all},
};
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// The most times one call is made again: more than any dialogue with a person has, and the end of a server that is
/// never content.
const MAX_ROUNDS: u32 = 10;
/// How long to wait before a call is made again whose result asks nothing, doubled each time.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The events of a call, made again for as long as its result is `input_required` (2026-07-28, "basic/patterns/mrtr").
///
/// What such a result asks for becomes an [`Event::Ask`] each, so whoever reads the events sees no difference to a
/// server that asks in the middle of a call.
pub(super) struct Rounds<S> {
    inner: Arc<S>,
    asking: Asking,
    /// As the client made it.
    call: Call,
    step: Step,
    made: u32,
}

/// How long a client may take to answer what a result asks, and where it is counted that it did not.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Asking {
    pub(in crate::edge) timeout: Duration,
    pub(in crate::edge) metrics: Metrics,
}

impl Default for Asking {
    fn default() -> Self {
        Self { timeout: EdgeLayer::ASK, metrics: Metrics::default() }
    }
}

enum Step {
    Calling(Running),
    Asking(VecDeque<Ask>, Pending),
    Waiting(BoxFuture<'static, Result<Edits, Ended>>),
    Over,
}

/// What the next round needs.
struct Pending {
    answers: Vec<(String, Kind, Answer)>,
    state: Option<Json>,
    /// How many rounds there were.
    made: u32,
}

/// What the next round says that the first did not: the answers, and the state.
type Edits = (Vec<u8>, Option<Json>);

/// How the call ends in place of another round.
type Ended = Result<Outcome, BoxError>;

impl<S: Inner> Stream for Rounds<S> {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.step {
                Step::Over => return Poll::Ready(None),
                Step::Calling(running) => {
                    let event = running.poll_next_unpin(cx);
                    match &event {
                        Poll::Pending | Poll::Ready(Some(Ok(Event::Note(_) | Event::Ask(_) | Event::Part(_)))) => {
                            return event;
                        }
                        Poll::Ready(Some(Ok(Event::Done(Outcome::Result(result))))) if result.asks() => {
                            match this.ask(result) {
                                Ok(step) => this.step = step,
                                Err(problem) => return this.end(Err(problem.into())),
                            }
                        }
                        Poll::Ready(_) => {
                            this.step = Step::Over;
                            return event;
                        }
                    }
                }
                Step::Asking(asks, _) if !asks.is_empty() => {
                    return Poll::Ready(asks.pop_front().map(Event::from).map(Ok));
                }
                Step::Asking(..) => {
                    if let Step::Asking(_, pending) = mem::replace(&mut this.step, Step::Over) {
                        this.step = Step::Waiting(Box::pin(answered(pending, this.asking.clone())));
                    }
                }
                Step::Waiting(answered) => {
                    let answered = ready!(answered.as_mut().poll(cx));
                    // The future is finished: whoever polls these events once more must not come back to it.
                    this.step = Step::Over;
                    match answered.and_then(|edits| this.again(edits)) {
                        Ok(call) => this.step = Step::Calling(Running::start(&this.inner, call)),
                        Err(end) => return this.end(end.map(Event::Done)),
                    }
                }
            }
        }
    }
}

impl<S: Inner> Rounds<S> {
    /// Whether results of this method may ask for input.
    pub(super) fn suit(method: &Method) -> bool {
        [Method::TOOLS_CALL, Method::PROMPTS_GET, Method::RESOURCES_READ].contains(method)
    }

    pub(super) fn start(inner: &Arc<S>, call: Call, asking: Asking) -> Self {
        let step = Step::Calling(Running::start(inner, call.clone()));
        Self { inner: inner.clone(), asking, call, step, made: 0 }
    }

    #[cold]
    fn end(&mut self, last: Result<Event, BoxError>) -> Poll<Option<Result<Event, BoxError>>> {
        self.step = Step::Over;
        Poll::Ready(Some(last))
    }

    #[cold]
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
        Ok(Step::Asking(asks, Pending { answers, state: inquiry.state, made: self.made }))
    }

    /// The call of the next round. The answers stand deeper in it than in the messages they came in, so they may stand too deep.
    #[cold]
    fn again(&self, (responses, state): Edits) -> Result<Call, Ended> {
        let responses = match &responses[..] {
            b"{}" => Edit::Remove("inputResponses"),
            all => Edit::Set("inputResponses", all),
        };
        let state = match &state {
            Some(state) => Edit::Set("requestState", state.as_bytes()),
            None => Edit::Remove("requestState"),
        };
        let mut call = self.call.clone();
        call.params = call.params.edit(&[responses, state]).map_err(|malformed| {
            let message = format!("invalid params: what the client answered cannot be passed on: {malformed}");
            Err(Problem::rpc(200, -32602, message).into())
        })?;
        Ok(call)
    }
}

/// Waits for the answers of one round.
async fn answered(pending: Pending, asking: Asking) -> Result<Edits, Ended> {
    if pending.answers.is_empty() {
        let doubled = PAUSE * 2u32.pow(pending.made.saturating_sub(1).min(MAX_ROUNDS));
        sleep(doubled.min(LONGEST_PAUSE)).await;
    }
    let answers = pending.answers.into_iter().map(|(key, kind, answer)| async move { (key, kind, answer.await) });
    let Ok(answers) = timeout(asking.timeout, join_all(answers)).await else {
        asking.metrics.count(Count::Ask);
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
    Ok((responses, pending.state))
}
