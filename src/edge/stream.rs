use super::{
    answer::append,
    message::Message,
    parts::{Broken, Told, Way},
    writer::Writer,
};
use crate::{BoxError, reply::Event, sse};
use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A stream of server-sent events, written as they come: into one buffer, so that those that have arrived together leave
/// in one frame.
pub(super) trait WriteEvents: Send {
    /// Appends the next event, or a piece of a large one, or nothing; `None` at the end. What is broken in the middle of an
    /// event has no other end.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Written, Broken>>>;
}

/// What was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All of an event, or the end of one.
    Event,
    /// An event behind which nothing had come when it was read.
    Alone,
    /// A piece of one that goes on, in which nothing else has a place.
    Piece,
}

/// Room for the events that usually come together.
const ROOM: usize = 2 << 10;

/// Appends an event with the data that `write` appends, or the rest of one.
pub(super) fn event(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    room(out);
    sse::append(out, write);
}

/// Appends a piece of an event's data.
pub(super) fn piece(out: &mut Vec<u8>, mut text: Message) {
    while let Some(piece) = text.piece() {
        sse::lines(out, &piece);
    }
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
    way: Way,
}

impl<E> Answering<E> {
    /// Begins with `first`, if that has been read.
    pub(super) fn new(first: Option<Result<Event, BoxError>>, events: E, writer: Writer) -> Self {
        Self { first, events, writer, way: Way::default() }
    }
}

impl<E> WriteEvents for Answering<E>
where
    E: Stream<Item = Result<Event, BoxError>> + Send + Unpin,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Written, Broken>>> {
        let this = self.get_mut();
        loop {
            let event = match this.first.take() {
                Some(first) => Some(first),
                None => ready!(Pin::new(&mut this.events).poll_next(cx)),
            };
            match this.way.take(event, &this.writer) {
                None => continue,
                Some(Told::Event(None)) => return Poll::Ready(None),
                // A question is refused by being dropped.
                Some(Told::Event(Some(Ok(Event::Ask(_))))) => continue,
                Some(Told::Event(Some(event))) => {
                    let alone = matches!(&event, Ok(Event::Note(note)) if note.alone);
                    self::event(out, |out| append(&this.writer, event, out));
                    return Poll::Ready(Some(Ok(if alone { Written::Alone } else { Written::Event })));
                }
                Some(Told::Begin(text)) => {
                    sse::open(out);
                    piece(out, text);
                }
                Some(Told::Text(text)) => piece(out, text),
                Some(Told::End(text)) => {
                    piece(out, text);
                    sse::close(out);
                    return Poll::Ready(Some(Ok(Written::Event)));
                }
                Some(Told::Broken(error)) => return Poll::Ready(Some(Err(error.into()))),
            }
            return Poll::Ready(Some(Ok(Written::Piece)));
        }
    }
}
