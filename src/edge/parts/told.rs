use super::Broken;
use crate::{
    BoxError,
    edge::{message::Message, writer::Writer},
    error::Unfinished,
    reply::{Event, Outcome},
};
use std::mem;

/// What an event of a call is to a stream of messages.
pub(in crate::edge) enum Told {
    /// What it was before, a message of its own; `None` at the end.
    Event(Option<Result<Event, BoxError>>),
    /// The beginning of an answer that is one message.
    Begin(Message),
    /// The next of it.
    Text(Message),
    /// Its end.
    End(Message),
    /// There is none, and nothing can be said in place of an answer that has begun.
    Broken(BoxError),
}

/// The way of a result that comes in parts into a stream of messages.
#[derive(Debug, Default)]
pub(in crate::edge) struct Way {
    begun: bool,
}

impl Way {
    /// Takes what comes next of a call; `None` where that is nothing to the client.
    pub(in crate::edge) fn take(&mut self, event: Option<Result<Event, BoxError>>, writer: &Writer) -> Option<Told> {
        if let Some(Ok(Event::Part(part))) = event {
            let is_first = !mem::replace(&mut self.begun, true);
            return Some(if is_first { Told::Begin(writer.opening(part)) } else { Told::Text(part.into()) });
        }
        if !self.begun {
            return Some(Told::Event(event));
        }
        let end = match event {
            // Not in the middle of another message; a question is refused by being dropped.
            Some(Ok(Event::Note(_) | Event::Ask(_))) => return None,
            Some(Ok(Event::Done(Outcome::Passed(members)))) => Told::End(writer.closing(members)),
            Some(Err(error)) => Told::Broken(error),
            // Taken back by the client, or an outcome that does not go on with what was begun.
            _ => Told::Broken(Unfinished::new().into()),
        };
        self.begun = false;
        Some(end)
    }
}

impl From<BoxError> for Broken {
    fn from(error: BoxError) -> Self {
        Self::off(error)
    }
}
