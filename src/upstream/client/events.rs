use super::Body;
use crate::{
    BoxError,
    sse::{Decoder, Event, Rest},
};
use bytes::Bytes;
use std::task::{Context, Poll, ready};

/// The events of a response body.
#[derive(Debug)]
pub(crate) struct Events {
    body: Body,
    decoder: Decoder,
    chunk: Bytes,
}

impl Events {
    /// Reads `body` as an event stream whose events have at most `limit` bytes.
    pub(crate) fn new(body: Body, limit: usize) -> Self {
        Self { body, decoder: Decoder::new(limit), chunk: Bytes::new() }
    }

    /// Reads on; `false` at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BoxError>> {
        let piece = ready!(self.body.poll_piece(cx))?;
        let is_more = piece.is_some();
        self.chunk = piece.unwrap_or_default();
        Poll::Ready(Ok(is_more))
    }

    /// The next event, or the beginning of one of which `most` bytes are held before it is complete.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::upstream::error::Closed) if the stream is cut, [`TooLarge`](crate::upstream::error::TooLarge) if an event passes the limit.
    pub(crate) fn poll_begun(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Begun>, BoxError>> {
        loop {
            if let Some(event) = self.decoder.decode(&mut self.chunk)? {
                return Poll::Ready(Ok(Some(Begun::Event(event))));
            }
            if self.decoder.held() >= most
                && let Some(text) = self.decoder.begun()
            {
                return Poll::Ready(Ok(Some(Begun::Data(text))));
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// What follows the data of an event that has begun; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// As [`poll_begun`](Self::poll_begun).
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Rest>, BoxError>> {
        loop {
            if let Some(rest) = self.decoder.rest(&mut self.chunk)? {
                return Poll::Ready(Ok(Some(rest)));
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Whether all that has come was taken.
    #[cfg(feature = "http")]
    pub(crate) fn is_drained(&self) -> bool {
        self.chunk.is_empty() && self.body.is_drained()
    }

    /// Nothing more is wanted, and what is still to come is the end of the stream.
    #[cfg(feature = "http")]
    pub(crate) fn finish(&mut self) {
        self.body.finish();
    }
}

/// What comes of a stream.
#[derive(Debug)]
pub(crate) enum Begun {
    Event(Event),
    /// The beginning of an event's data, which is a message as far as is known.
    Data(Bytes),
}
