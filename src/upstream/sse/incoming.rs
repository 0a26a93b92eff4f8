//! What comes down the stream.

use crate::{
    BoxError,
    json::Ends,
    sse::{Event, Rest},
    upstream::client::{Begun, Body, Events},
};
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;

/// Room for what arrives together with the byte that passes the limit.
const SLACK: usize = 1 << 20;

/// Room for what is held of an event beside its data, its id mostly, none of which counts towards the limit of a message.
const BESIDE: usize = 1 << 10;

/// The events of a stream that all calls share: one above the limit is skipped, not the end of it.
pub(super) struct Incoming {
    events: Events,
    limit: usize,
}

/// What has arrived.
pub(super) enum Arrival {
    Event(Event),
    /// A message above the limit, and what its ends say.
    TooLarge(Ends),
}

impl Incoming {
    pub(super) fn new(body: Body, limit: usize) -> Self {
        Self { events: Events::new(body, limit.saturating_add(SLACK)), limit }
    }

    /// The next event, `None` at the end of the stream. A future that is dropped loses what is left of the event.
    pub(super) async fn next(&mut self) -> Result<Option<Arrival>, BoxError> {
        let begun = poll_fn(|cx| self.events.poll_begun(cx, self.limit.saturating_add(BESIDE))).await?;
        Ok(match begun {
            Some(Begun::Event(event)) if event.data.len() > self.limit => {
                let tail = event.data.len() - Ends::TAIL.min(event.data.len());
                Some(Arrival::TooLarge(Ends::read(head(&event.data), &event.data[tail..])))
            }
            Some(Begun::Event(event)) => Some(Arrival::Event(event)),
            Some(Begun::Data(data)) => self.skip(&data).await?.map(Arrival::TooLarge),
            None => None,
        })
    }

    /// Reads an event to its end, of which `data` has come.
    async fn skip(&mut self, data: &[u8]) -> Result<Option<Ends>, BoxError> {
        let (head, mut tail) = (Bytes::copy_from_slice(head(data)), BytesMut::new());
        keep(&mut tail, data);
        loop {
            match poll_fn(|cx| self.events.poll_rest(cx)).await? {
                Some(Rest::Data(piece)) => keep(&mut tail, &piece),
                Some(Rest::End(_)) => return Ok(Some(Ends::read(&head, &tail))),
                None => return Ok(None),
            }
        }
    }
}

fn head(data: &[u8]) -> &[u8] {
    &data[..data.len().min(Ends::HEAD)]
}

/// Keeps the end of what has come.
fn keep(tail: &mut BytesMut, piece: &[u8]) {
    let piece = &piece[piece.len() - piece.len().min(Ends::TAIL)..];
    let rest = Ends::TAIL - piece.len();
    let _ = tail.split_to(tail.len() - tail.len().min(rest));
    tail.extend_from_slice(piece);
}
