use super::{answer::append, writer::Writer};
use crate::{
    BoxError,
    reply::{Event, Whole},
    sse,
};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A stream of server-sent events, written as they come: into one buffer, so that those that have arrived together leave
/// in one frame.
pub(super) trait WriteEvents: Send {
    /// Appends the next event as a whole, or nothing; `None` at the end.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Option<()>>;
}

/// Room for the events that usually come together.
const ROOM: usize = 2 << 10;

/// Appends an event with the data that `write` appends, or the rest of one.
pub(super) fn event(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    room(out);
    sse::append(out, write);
}

/// Makes room for the first event.
pub(super) fn room(out: &mut Vec<u8>) {
    if out.capacity() == 0 {
        out.reserve(ROOM);
    }
}

/// The events of a call, to a client of revision 2026-07-28.
pub(super) struct Answering<E> {
    first: Option<Result<Event, BoxError>>,
    events: E,
    writer: Writer,
    /// One message is one event, so it must be there as a whole.
    whole: Whole,
}

impl<E> Answering<E> {
    /// Begins with `first`, if that has been read.
    pub(super) fn new(first: Option<Result<Event, BoxError>>, events: E, writer: Writer) -> Self {
        Self { first, events, writer, whole: Whole::default() }
    }
}

impl<E> WriteEvents for Answering<E>
where
    E: Stream<Item = Result<Event, BoxError>> + Send + Unpin,
{
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Option<()>> {
        let this = self.get_mut();
        loop {
            let event = match this.first.take() {
                Some(first) => first,
                None => match ready!(Pin::new(&mut this.events).poll_next(cx)) {
                    Some(event) => event,
                    None => return Poll::Ready(None),
                },
            };
            let Some(event) = event.map(|event| this.whole.take(event)).transpose() else { continue };
            // A question is refused by being dropped.
            if !matches!(event, Ok(Event::Ask(_))) {
                self::event(out, |out| append(&this.writer, event, out));
                return Poll::Ready(Some(()));
            }
        }
    }
}
