use super::{
    abilities::{Abilities, NEEDS_URL},
    logging::Level,
    park::{Park, Parked},
    wording::is_of_client,
};
use crate::{
    BoxError, Call, Method, Reply,
    error::Problem,
    json::Json,
    reply::{Ask, Event, Note, Outcome},
};
use futures_util::Stream;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// "Use another address first": an error before 2026-07-28, a result since.
const URL_REQUIRED: i64 = -32042;
const MISSING_CAPABILITY: i64 = -32021;

/// How long after its first question a server may ask more that the client gets in the same result. Those that a server
/// asks at once come within this, though in frames of their own, and no human notices it.
const TOGETHER: Duration = Duration::from_millis(20);

/// Lets through what an initialize-era server may say to the client of this call.
///
/// A question goes on to a client with a session, if it declared that it can be asked so. For one without, it ends the
/// reply with an `input_required` result, and the call waits where the client's next request finds it.
pub(super) struct Gate {
    call: Call,
    park: Arc<Park>,
    whose: Whose,
    /// Dropped with the last event, which cancels the call if it is not over.
    parked: Option<Parked>,
    /// Whether this goes on with an earlier call, whose progress has another token.
    resumed: bool,
    /// A capability that the server may have wanted for this call, or for something else.
    lacked: Option<&'static str>,
    /// Runs while there is a question, and more may come.
    gathering: Option<Pin<Box<Sleep>>>,
}

/// Who made the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Gateway,
    /// A client that can be asked while it waits.
    Session,
    /// A client that must be told to call again.
    Modern,
}

impl Whose {
    fn of(call: &Call) -> Self {
        match (is_of_client(call), &call.session) {
            (false, _) => Whose::Gateway,
            (true, Some(_)) => Whose::Session,
            (true, None) => Whose::Modern,
        }
    }
}

/// The methods whose results may ask for input (2026-07-28, "basic/patterns/mrtr").
pub(super) fn may_require_input(method: &Method) -> bool {
    [Method::TOOLS_CALL, Method::PROMPTS_GET, Method::RESOURCES_READ].contains(method)
}

/// A reply of an initialize-era server, as the client of the call may see it.
pub(super) fn reply(reply: Reply, call: &Call, park: &Arc<Park>) -> Reply {
    let whose = Whose::of(call);
    match reply.into_single() {
        Ok(outcome) if whose == Whose::Modern => Reply::single(required(outcome, call, park)),
        Ok(outcome) => Reply::single(outcome),
        Err(events) => {
            let parked = Some(Parked::new(events, Abilities::clone(&Abilities::of(call))));
            Reply::stream(Gate {
                call: call.clone(),
                park: park.clone(),
                whose,
                parked,
                resumed: false,
                lacked: None,
                gathering: None,
            })
        }
    }
}

/// Goes on with a parked call, after the answers that the retry brought.
pub(super) fn resume(mut parked: Parked, retry: &Call, park: &Arc<Park>) -> Reply {
    parked.answer(retry);
    parked.declare(Abilities::clone(&Abilities::of(retry)));
    let (call, park, parked) = (retry.clone(), park.clone(), Some(parked));
    Reply::stream(Gate { call, park, whose: Whose::Modern, parked, resumed: true, lacked: None, gathering: None })
}

impl Stream for Gate {
    type Item = Result<Event, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(parked) = &mut this.parked else { return Poll::Ready(None) };
            let polled = parked.poll_next(cx);
            let event = match &polled {
                Poll::Pending if parked.asks.is_empty() => return polled,
                Poll::Pending => {
                    ready!(this.gathering.get_or_insert_with(|| Box::pin(sleep(TOGETHER))).as_mut().poll(cx));
                    return Poll::Ready(this.park());
                }
                Poll::Ready(Some(Ok(Event::Note(note)))) if !this.wants(note) => continue,
                Poll::Ready(Some(Ok(Event::Note(note)))) if !this.retells(note) => return polled,
                Poll::Ready(Some(Ok(Event::Part(_)))) => return polled,
                Poll::Ready(_) => ready!(polled),
            };
            let event = match event {
                Some(Ok(Event::Note(note))) => this.retold(note).map(Event::Note),
                Some(Ok(Event::Ask(ask))) => this.asked(*ask),
                Some(Ok(Event::Done(outcome))) => Some(Event::Done(match this.whose {
                    Whose::Modern => match this.lacked.filter(|_| has_failed(&outcome)) {
                        Some(lack) => missing(lack),
                        None => required(outcome, &this.call, &this.park),
                    },
                    Whose::Gateway | Whose::Session => outcome,
                })),
                end => {
                    this.parked = None;
                    return Poll::Ready(end);
                }
            };
            if matches!(event, Some(Event::Done(_))) {
                this.parked = None;
            }
            if let Some(event) = event {
                return Poll::Ready(Some(Ok(event)));
            }
        }
    }
}

impl Gate {
    /// Ends the reply with the questions that are there.
    fn park(&mut self) -> Option<Result<Event, BoxError>> {
        let parked = self.parked.take()?;
        let result = self.park.park(&self.call, parked);
        Some(result.map(|result| Event::Done(Outcome::Result(result))).map_err(Into::into))
    }

    /// What comes of a question; `None` if it waits, or was refused.
    fn asked(&mut self, ask: Ask) -> Option<Event> {
        let parked = self.parked.as_mut()?;
        match (self.whose, parked.abilities().lack(&ask)) {
            (Whose::Gateway, _) => refuse(ask),
            (Whose::Session, None) => return Some(ask.into()),
            (Whose::Session, Some(_)) => refuse(ask),
            (Whose::Modern, _) if !may_require_input(&self.call.method) => refuse(ask),
            (Whose::Modern, None) => parked.ask(ask),
            // Servers want to know the roots whenever they like, which must not fail a call that does without.
            (Whose::Modern, Some(lack)) if ask.inferred && ask.method == Method::ROOTS_LIST => {
                self.lacked = Some(lack);
                refuse(ask);
            }
            (Whose::Modern, Some(lack)) => {
                let outcome = missing(lack);
                refuse(ask);
                return Some(Event::Done(outcome));
            }
        }
        None
    }

    /// Whether a note is for the client at all.
    fn wants(&self, note: &Note) -> bool {
        note.method != Method::MESSAGE
            || match Level::of(&self.call) {
                Some(level) => self.whose != Whose::Gateway && level.admits(&note.params),
                None => self.whose == Whose::Session,
            }
    }

    /// Whether a note has the token of the call that was made first, and not that of the one that goes on with it.
    fn retells(&self, note: &Note) -> bool {
        self.resumed && note.method == Method::PROGRESS
    }

    fn retold(&self, mut note: Box<Note>) -> Option<Box<Note>> {
        note.params.tell(&self.call.params.progress_token()?);
        Some(note)
    }
}

/// Whether a call came to nothing, for want of what the server asked for.
fn has_failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Error(_) => true,
        Outcome::Result(result) => result.member("isError").is_some_and(|failed| failed.as_str() == "true"),
        Outcome::Passed(_) | Outcome::Accepted => false,
    }
}

/// Tells the server that the client is not one to ask this.
fn refuse(ask: Ask) {
    let refusal = Problem::rpc(400, -32601, format!("the client of this call has not declared {}", ask.method));
    ask.answer(Err(refusal.to_json()));
}

fn missing(capabilities: &'static str) -> Outcome {
    let data = format!("{{\"requiredCapabilities\":{capabilities}}}");
    let mut problem =
        Problem::rpc(400, MISSING_CAPABILITY, "the server needs a capability the client has not declared");
    problem.data = Some(Json::trusted(data.into()));
    Outcome::Error(problem.to_json())
}

/// An outcome in the words of 2026-07-28, where the call may first need an address visited.
fn required(outcome: Outcome, call: &Call, park: &Park) -> Outcome {
    let Outcome::Error(error) = &outcome else { return outcome };
    if outcome.error_code() != Some(URL_REQUIRED) {
        return outcome;
    }
    if !Abilities::of(call).open_addresses() {
        return missing(NEEDS_URL);
    }
    let result = park.visit(call, error).filter(|_| may_require_input(&call.method));
    result.map_or_else(
        || Outcome::Error(Problem::rpc(500, -32603, "the server wants an address visited").to_json()),
        Outcome::Result,
    )
}
