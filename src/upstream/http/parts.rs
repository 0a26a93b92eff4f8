use super::{
    body::{Arrival, broken},
    exchange::another_id,
};
use crate::{
    BoxError,
    json::{Message, Opening, Walk},
    upstream::{
        client::{Body, Gather},
        error::{Protocol, TooLarge},
    },
};
use bytes::Bytes;
use std::{
    future::poll_fn,
    task::{Context, Poll},
};

/// Where the text of a message comes from.
pub(super) trait Pieces {
    /// The next piece, `None` at the end of the message.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>>;
}

impl Pieces for Body {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        Body::poll_piece(self, cx)
    }
}

/// The least that is passed on at a time, in bytes: a server that sends them one by one makes no client wake for each, and
/// nobody takes it for one that answers.
const LEAST: usize = 16 << 10;

/// The longest number, and the longest key with the white space to its colon, in bytes: they are taken as a whole, and looked
/// at again with each read until they are there.
const LONGEST_TOKEN: usize = 64 << 10;

/// The most that may stand behind a result, in bytes: the message's version and id, and what else nobody reads.
const MAX_TAIL: usize = 64 << 10;

/// A result that is passed on as it arrives, and what is known of the message around it.
///
/// The message is an answer only when all of it has come. So its end is checked with the very parser that reads messages
/// which are there as a whole, with an empty result in place of the one that went ahead.
#[derive(Debug)]
pub(super) struct Parts {
    /// What stands before the result.
    head: Bytes,
    walk: Walk,
    /// What has arrived and was not passed on yet; behind the result, all there is.
    waiting: Gather,
    limit: usize,
    /// What may still come of it, in bytes.
    left: usize,
}

impl Parts {
    /// Of a message of at most `limit` bytes that begins with `text`, if that is the beginning of a result.
    ///
    /// # Errors
    ///
    /// [`Protocol`] if it answers another request than `id`.
    pub(super) fn begin(text: &Bytes, id: u64, limit: usize) -> Result<Option<Box<Self>>, Protocol> {
        match Opening::read(text) {
            Some(opening) if opening.id.as_ref().is_some_and(|of| of.as_u64() != Some(id)) => Err(another_id()),
            Some(opening) => Ok(Some(Box::new(Self::new(text, &opening, limit)))),
            None => Ok(None),
        }
    }

    fn new(text: &Bytes, opening: &Opening, limit: usize) -> Self {
        let mut waiting = Gather::default();
        waiting.push(text.slice(opening.result..));
        let head = Bytes::copy_from_slice(&text[..opening.result]);
        Self { head, walk: Walk::object(1), waiting, limit, left: limit.saturating_sub(text.len()) }
    }

    /// The next part, or the end of the message; `None` behind that. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Protocol`] where it turns out to be no answer, [`TooLarge`] where it passes the limit,
    /// [`Closed`](crate::upstream::error::Closed) where it is cut.
    pub(super) async fn next(&mut self, pieces: &mut impl Pieces) -> Result<Option<Arrival>, BoxError> {
        loop {
            if !self.walk.is_over()
                && self.waiting.len() >= LEAST
                && let Some(part) = self.part()?
            {
                return Ok(Some(Arrival::Part(part)));
            }
            match poll_fn(|cx| pieces.poll_piece(cx)).await? {
                Some(piece) => {
                    self.left = self.left.checked_sub(piece.len()).ok_or(TooLarge { limit: self.limit })?;
                    self.waiting.push(piece);
                    if self.walk.is_over() && self.waiting.len() > MAX_TAIL {
                        return Err(Protocol("too much stands behind the result".into()).into());
                    }
                }
                None if self.walk.is_over() => return self.end().map(Some),
                None => {
                    if let Some(part) = self.part()? {
                        return Ok(Some(Arrival::Part(part)));
                    }
                    if !self.walk.is_over() {
                        return Err(Protocol("the answer ends within its result".into()).into());
                    }
                }
            }
        }
    }

    /// As much of the result as can be passed on; its last bracket waits for the end of the message.
    fn part(&mut self) -> Result<Option<Bytes>, BoxError> {
        let text = self.waiting.as_slice();
        let taken = self.walk.take(text).map_err(|fault| broken(&fault))?;
        if text.len() - taken > LONGEST_TOKEN && !self.walk.is_over() {
            return Err(Protocol("a number or a key of more than 64 KiB".into()).into());
        }
        let mut part = self.waiting.take(taken);
        part.truncate(taken - usize::from(self.walk.is_over()));
        Ok((!part.is_empty()).then_some(part))
    }

    fn end(&mut self) -> Result<Arrival, BoxError> {
        let tail = self.waiting.take(self.waiting.len());
        let message = Bytes::from([&self.head[..], b"{}", &tail].concat());
        match Message::of_server(message).map_err(|fault| broken(&fault))? {
            Message::Response { id, outcome: Ok(_) } => Ok(Arrival::End { id, members: self.walk.members() }),
            _ => Err(Protocol("the answer has another outcome beside its result".into()).into()),
        }
    }
}
