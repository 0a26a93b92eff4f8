use super::{
    feed,
    live::{Live, Over},
    questions::Asked,
    rounds::Rounds,
    session::{Entry, Ticket},
};
use crate::{
    BoxError, Method,
    edge::{
        Body,
        error::Refusal,
        message::Message,
        parts::{self, Told, Way},
        running::{Inner, Running},
        writer::Writer,
    },
    json::Params,
    reply::{Event, Outcome, Whole},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{Extensions, Response};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::runtime::Handle;

/// A message to the client.
pub(in crate::edge) enum Said {
    /// The first part of a result, to whoever takes [parts](Dialogue::in_parts).
    Part(Bytes),
    /// A note, or a question.
    Meanwhile(Bytes),
    /// A note behind which nothing had come when it was read.
    Alone(Bytes),
    /// The answer, with when to come again where it says so.
    Last(Message, Option<Duration>),
    /// The beginning of the answer, on a [stream](Kept::streamed).
    Begin(Message),
    /// The next of it.
    Piece(Message),
    /// Its end.
    End(Message),
    /// It has no end, and why; with what is said to who has not had its beginning.
    Broken(Bytes, BoxError),
}

impl Said {
    pub(super) fn into_message(self) -> Bytes {
        match self {
            Said::Part(message) | Said::Meanwhile(message) | Said::Alone(message) | Said::Broken(message, _) => message,
            Said::Last(message, _) | Said::Begin(message) | Said::Piece(message) | Said::End(message) => {
                message.into_bytes()
            }
        }
    }

    /// Whether more follows.
    fn goes_on(&self) -> bool {
        matches!(self, Said::Part(_) | Said::Meanwhile(_) | Said::Alone(_) | Said::Begin(_) | Said::Piece(_))
    }
}

/// One request of a session, as the messages it is answered with: notes and questions, then the answer. It ends
/// without one where the client took the request back.
///
/// Questions are open until they are answered or this is dropped.
pub(super) struct Dialogue(Box<dyn Course>);

/// How a dialogue goes on, whatever its events come from: in one box with them, because it is handed from one to another
/// before it is read.
trait Course: Send {
    fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>>;

    /// The messages do not reach the client any more; who hears nothing is not asked either.
    fn unheard(&mut self);

    /// From here on, messages go into a stream.
    fn stream(&mut self);

    /// What is still to come, as the rest of an answer whose result began with `first`.
    fn respond(self: Box<Self>, first: Bytes) -> Response<Body>;
}

struct Answering<E> {
    live: Live<Ticket, E>,
    writer: Writer,
    asked: Vec<Asked>,
    entry: Arc<Entry>,
    heard: bool,
    results: Results,
}

/// What becomes of results that come in parts.
enum Results {
    /// They are put together.
    Whole(Whole),
    /// They go on as they come, as an answer of their own.
    Parts,
    /// They go on as they come, among other messages.
    Streamed(Way),
}

impl Dialogue {
    /// Starts what a request asks for.
    ///
    /// # Errors
    ///
    /// The session is not initialized.
    pub(super) fn start<S: Inner>(
        inner: &Arc<S>,
        entry: &Arc<Entry>,
        ticket: Ticket,
        writer: Writer,
        (method, params, extensions): (Method, &Params, Extensions),
        in_parts: bool,
    ) -> Result<Self, Refusal> {
        let in_parts = in_parts && parts::suit(&method);
        let answering = Unstarted { ticket, writer, entry, in_parts };
        let subscribes = match method.as_str() {
            "resources/subscribe" => Some(true),
            "resources/unsubscribe" => Some(false),
            _ => None,
        };
        if let Some(wanted) = subscribes.filter(|_| entry.client().is_some()) {
            return Ok(answering.on(feed::change(inner, entry, params, extensions, wanted)));
        }
        let asks = Rounds::<S>::suit(&method);
        let call = entry.call(method, params, extensions);
        let mut call = call.ok_or_else(|| Refusal::invalid("the session is not initialized"))?;
        call.in_parts = in_parts;
        Ok(match asks {
            true => answering.on(Rounds::start(inner, call, entry.asking().clone())),
            false => answering.on(Running::start(inner, call)),
        })
    }
}

/// What a dialogue is made of beside its events.
struct Unstarted<'a> {
    ticket: Ticket,
    writer: Writer,
    entry: &'a Arc<Entry>,
    in_parts: bool,
}

impl Unstarted<'_> {
    fn on<E>(self, events: E) -> Dialogue
    where
        E: Stream<Item = Result<Event, BoxError>> + Send + Unpin + 'static,
    {
        let Self { ticket, writer, entry, in_parts } = self;
        let live = Live::new(events, Over::Call(ticket.cancelled().clone()), ticket);
        let results = if in_parts { Results::Parts } else { Results::Whole(Whole::default()) };
        Dialogue(Box::new(Answering { live, writer, asked: Vec::new(), entry: entry.clone(), heard: true, results }))
    }
}

impl<E> Answering<E> {
    /// What an event is to the client; `None` if nothing.
    fn said(&mut self, event: Option<Result<Event, BoxError>>) -> Option<Option<Said>> {
        let event = match &mut self.results {
            Results::Whole(whole) => match event {
                Some(Ok(event)) => Some(Ok(whole.take(event)?)),
                end => end,
            },
            Results::Parts => event,
            Results::Streamed(way) => match way.take(event, &self.writer)? {
                Told::Event(event) => event,
                Told::Begin(text) => return Some(Some(Said::Begin(text))),
                Told::Text(text) => return Some(Some(Said::Piece(text))),
                Told::End(text) => return Some(Some(Said::End(text))),
                Told::Broken(error) => {
                    let problem = self.writer.failed(&*error);
                    return Some(Some(Said::Broken(self.writer.problem(&problem), error)));
                }
            },
        };
        match event {
            Some(event) => self.message(event).map(Some),
            None => Some(None),
        }
    }

    fn message(&mut self, event: Result<Event, BoxError>) -> Option<Said> {
        match event {
            Ok(Event::Part(part)) => Some(Said::Part(part)),
            Ok(Event::Note(note)) => {
                let message = self.writer.note(&note);
                Some(if note.alone { Said::Alone(message) } else { Said::Meanwhile(message) })
            }
            Ok(Event::Ask(ask)) if self.heard => {
                let (asked, message) = self.entry.ask(*ask)?;
                self.asked.retain(Asked::is_open);
                self.asked.push(asked);
                Some(Said::Meanwhile(message))
            }
            Ok(Event::Ask(_)) => None,
            // Nobody was there to read the parts.
            Ok(Event::Done(Outcome::Passed(_))) => None,
            Ok(Event::Done(outcome)) => Some(Said::Last(self.writer.done(outcome).1, None)),
            Err(error) => {
                let problem = self.writer.failed(&*error);
                Some(Said::Last(self.writer.problem(&problem).into(), problem.retry_after))
            }
        }
    }
}

impl<E> Course for Answering<E>
where
    E: Stream<Item = Result<Event, BoxError>> + Send + Unpin + 'static,
{
    fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        loop {
            let event = ready!(self.live.poll_next_unpin(cx));
            if let Some(said) = self.said(event) {
                return Poll::Ready(said);
            }
        }
    }

    fn unheard(&mut self) {
        self.heard = false;
        self.asked.clear();
    }

    fn stream(&mut self) {
        if let Results::Parts = self.results {
            self.results = Results::Streamed(Way::default());
        }
    }

    fn respond(self: Box<Self>, first: Bytes) -> Response<Body> {
        parts::respond(self.writer, first, self.live)
    }
}

impl Stream for Dialogue {
    type Item = Said;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        self.0.poll_said(cx)
    }
}

/// A request that outlives its response: where the client's connection goes, it moves into a task of its own and runs
/// to its end there, in its place in the session. Only the client's notification, a deadline behind the edge or the
/// end of the session cancel it.
pub(in crate::edge) struct Kept(Option<Dialogue>);

impl Kept {
    pub(super) fn new(dialogue: Dialogue) -> Self {
        Self(Some(dialogue))
    }

    /// From here on, the messages go into a stream.
    pub(super) fn streamed(mut self) -> Self {
        if let Some(dialogue) = &mut self.0 {
            dialogue.0.stream();
        }
        self
    }

    /// The response to a request whose result began with `first`. The call ends with it, because what a client has part of
    /// can be given to it in no other way.
    pub(super) fn respond(mut self, first: Bytes) -> Option<Response<Body>> {
        self.0.take().map(|dialogue| dialogue.0.respond(first))
    }
}

impl Stream for Kept {
    type Item = Said;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        let Some(dialogue) = &mut self.0 else { return Poll::Ready(None) };
        let said = ready!(dialogue.poll_next_unpin(cx));
        if !said.as_ref().is_some_and(Said::goes_on) {
            self.0 = None;
        }
        Poll::Ready(said)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(dialogue) = self.0.take() {
            go_on(dialogue);
        }
    }
}

/// A call goes on that its client does not wait for any more. Without a runtime the process is ending, and the call with it.
#[cold]
fn go_on(mut dialogue: Dialogue) {
    if let Ok(runtime) = Handle::try_current() {
        dialogue.0.unheard();
        runtime.spawn(async move { while dialogue.next().await.is_some() {} });
    }
}
