use super::Body;
use crate::{
    BoxError,
    sse::{Decoder, Event},
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

    /// The next event, `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::upstream::error::Closed) if the stream is cut, [`TooLarge`](crate::upstream::error::TooLarge) if an event passes the limit.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, BoxError>> {
        loop {
            if let Some(event) = self.decoder.decode(&mut self.chunk)? {
                return Poll::Ready(Ok(Some(event)));
            }
            match ready!(self.body.poll_piece(cx))? {
                Some(piece) => self.chunk = piece,
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// As [`poll_next`](Self::poll_next). Nothing is lost if the future is dropped.
    #[cfg(feature = "sse")]
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, BoxError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Nothing more is wanted, and what is still to come is the end of the stream.
    #[cfg(feature = "http")]
    pub(crate) fn finish(&mut self) {
        self.body.finish();
    }
}
