use super::{
    body::Arrival,
    document::WAITED_FOR,
    parts::{Parts, Pieces},
};
use crate::{
    BoxError,
    sse::{Event, Rest},
    upstream::{
        client::{Begun, Body, Events, Gather},
        error::{Closed, Protocol, TooLarge},
    },
};
use bytes::Bytes;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, ready},
};

/// An event stream, each event of which is a message.
#[derive(Debug)]
pub(super) struct Streamed {
    source: Source,
    limit: usize,
    /// The request whose result may be passed on as it arrives.
    in_parts: Option<u64>,
    /// The message that is passed on. In a box, because few are so large, and what reads one is moved.
    parts: Option<Box<Parts>>,
    /// What has come of a large message that is not passed on.
    whole: Option<Gather>,
}

/// What comes of an event stream.
#[derive(Debug)]
pub(super) enum Told {
    Event(Event),
    Piece(Arrival),
}

impl Streamed {
    pub(super) fn new(body: Body, limit: usize, in_parts: Option<u64>) -> Self {
        Self {
            source: Source { events: Events::new(body, limit), is_over: false },
            limit,
            in_parts,
            parts: None,
            whole: None,
        }
    }

    /// Nothing more is wanted.
    pub(super) fn finish(&mut self) {
        self.source.events.finish();
    }

    /// Whether all that has come was taken.
    pub(super) fn is_drained(&self) -> bool {
        self.source.events.is_drained()
    }

    /// The next event, or the next piece of a result; `None` at the end of the stream.
    #[inline(never)]
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Told>, BoxError>> {
        loop {
            if let Some(parts) = &mut self.parts {
                // Its future loses nothing when it is dropped, so it need not be kept.
                let arrival = ready!(pin!(parts.next(&mut self.source)).poll(cx))?;
                return Poll::Ready(Ok(arrival.map(Told::Piece)));
            }
            if self.whole.is_some() {
                return self.poll_whole(cx);
            }
            let most = if self.in_parts.is_some() { WAITED_FOR } else { usize::MAX };
            match ready!(self.source.events.poll_begun(cx, most))? {
                Some(Begun::Event(event)) => return Poll::Ready(Ok(Some(Told::Event(event)))),
                Some(Begun::Data(text)) => self.begin(text)?,
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Passes on what has arrived, if it is the beginning of a result; else it is gathered.
    fn begin(&mut self, text: Bytes) -> Result<(), BoxError> {
        let Some(id) = self.in_parts else { return Ok(()) };
        self.parts = Parts::begin(&text, id, self.limit)?;
        if self.parts.is_none() {
            self.whole.get_or_insert_default().push(text);
        }
        Ok(())
    }

    /// An event that is large and no result, as a whole.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Told>, BoxError>> {
        loop {
            let rest = ready!(self.source.events.poll_rest(cx))?;
            let gathered = self.whole.get_or_insert_default();
            match rest {
                Some(Rest::Data(piece)) if gathered.len() + piece.len() > self.limit => {
                    return Poll::Ready(Err(TooLarge { limit: self.limit }.into()));
                }
                Some(Rest::Data(piece)) => gathered.push(piece),
                Some(Rest::End(mut event)) => {
                    event.data = gathered.take(gathered.len());
                    self.whole = None;
                    return Poll::Ready(Ok(Some(Told::Event(event))));
                }
                // An event that does not end is none.
                None => return Poll::Ready(Ok(None)),
            }
        }
    }
}

/// The events, of which one is being passed on.
#[derive(Debug)]
struct Source {
    events: Events,
    /// Whether that has ended.
    is_over: bool,
}

impl Pieces for Source {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        if self.is_over {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(match ready!(self.events.poll_rest(cx))? {
            Some(Rest::Data(piece)) => Ok(Some(piece)),
            Some(Rest::End(event)) if event.is_message() => {
                self.is_over = true;
                Ok(None)
            }
            Some(Rest::End(_)) => Err(Protocol("an event turned out to be no message behind its data".into()).into()),
            None => Err(Closed { sent: true }.into()),
        })
    }
}
