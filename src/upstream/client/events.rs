use crate::{
    BoxError,
    sse::{Decoder, Event},
    upstream::error::Closed,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The events of a response body.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    decoder: Decoder,
    chunk: Bytes,
}

impl Events {
    /// Reads `body` as an event stream whose events have at most `limit` bytes.
    pub(crate) fn new(body: Incoming, limit: usize) -> Self {
        Self { body, decoder: Decoder::new(limit), chunk: Bytes::new() }
    }

    /// The next event, `None` at the end of the stream. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the stream is cut, [`TooLarge`](crate::upstream::error::TooLarge) if an event passes the limit.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, BoxError> {
        loop {
            if let Some(event) = self.decoder.decode(&mut self.chunk)? {
                return Ok(Some(event));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.chunk = frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return Err(Closed { sent: true }.into()),
                None => return Ok(None),
            }
        }
    }
}
