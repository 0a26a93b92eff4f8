use super::{
    connection::Connection,
    head::{Framing, NotHttp},
    pool::Pool,
};
use crate::{
    BoxError, chunked,
    upstream::error::{Closed, Protocol, TooLarge},
};
use bytes::{Bytes, BytesMut};
use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A longer body takes its memory along, instead of leaving it to a connection that may be idle after it.
const KEPT: usize = 64 << 10;

/// The body of a response. Dropped before its end, it closes the connection, which is how a server learns that nobody
/// waits.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    /// `None` once the end was read.
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    connection: Box<Connection>,
    /// Where the connection goes after the body, if another request may follow.
    pool: Option<Arc<Pool>>,
}

impl Body {
    pub(super) fn new(framing: Framing, connection: Box<Connection>, pool: Option<Arc<Pool>>) -> Self {
        let mut body = Self { framing, source: Some(Source { connection, pool }) };
        if framing == Framing::NOTHING {
            body.settle();
        }
        body
    }

    /// How many bytes are certain to follow; `None` where the end is only known when it comes.
    pub(crate) fn known(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            _ => None,
        }
    }

    /// The next piece, `None` at the end. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the body is cut, [`Protocol`] if its chunks are none.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, BoxError> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// All of the body. Where its length is known, nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] as soon as it passes `limit` bytes, [`Closed`] if it is cut.
    pub(crate) async fn whole(&mut self, limit: usize) -> Result<Bytes, BoxError> {
        match self.known() {
            Some(left) if left > limit as u64 => Err(TooLarge { limit }.into()),
            Some(left) => poll_fn(|cx| self.poll_exactly(cx, left as usize)).await,
            None => {
                let mut gathered = super::Gather::default();
                while let Some(piece) = self.piece().await? {
                    if gathered.len() + piece.len() > limit {
                        return Err(TooLarge { limit }.into());
                    }
                    gathered.push(piece);
                }
                Ok(gathered.take(gathered.len()))
            }
        }
    }

    /// Whether all that has come was taken, and more will come.
    #[cfg(feature = "http")]
    pub(crate) fn is_drained(&self) -> bool {
        let unread = |source: &Source| match self.framing {
            Framing::Chunked(state) => state.unread(source.connection.unread()),
            Framing::Length(_) | Framing::Close => source.connection.unread().len(),
        };
        self.source.as_ref().is_some_and(|source| unread(source) == 0)
    }

    /// Nothing more is wanted, and what is still to come is the end: where it comes soon, the connection is used again.
    #[cfg(feature = "http")]
    pub(crate) fn finish(&mut self) {
        if let Some(Source { connection, pool: Some(pool) }) = self.source.take() {
            pool.put(connection, self.framing);
        }
    }

    /// As [`piece`](Self::piece).
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        loop {
            let Some(source) = &mut self.source else { return Poll::Ready(Ok(None)) };
            let piece = self.framing.take(&mut source.connection).map_err(|NotHttp(why)| Protocol(why.into()))?;
            if self.framing.is_over() {
                self.settle();
            }
            if piece.is_some() || self.source.is_none() {
                return Poll::Ready(Ok(piece));
            }
            let source = self.source.as_mut().expect("still here");
            let filled = ready!(source.connection.poll_fill(cx));
            if !matches!(filled, Ok(more) if more > 0) {
                self.source = None;
                let ended = filled.is_ok() && self.framing == Framing::Close;
                return Poll::Ready(if ended { Ok(None) } else { Err(cut(filled)) });
            }
        }
    }

    /// The `length` bytes that are all of the body, in one piece and without a copy.
    fn poll_exactly(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<Result<Bytes, BoxError>> {
        let Some(source) = &mut self.source else { return Poll::Ready(Ok(Bytes::new())) };
        let buffer = source.connection.buffer();
        buffer.reserve(length.saturating_sub(buffer.len()));
        while source.connection.buffer().len() < length {
            match ready!(source.connection.poll_fill(cx)) {
                Ok(more) if more > 0 => {}
                filled => {
                    self.source = None;
                    return Poll::Ready(Err(cut(filled)));
                }
            }
        }
        let buffer = source.connection.buffer();
        let whole = buffer.split_to(length).freeze();
        if length > KEPT {
            *buffer = BytesMut::from(&buffer[..]);
        }
        self.framing = Framing::NOTHING;
        self.settle();
        Poll::Ready(Ok(whole))
    }

    /// The end was read: the connection is free.
    fn settle(&mut self) {
        if let Some(Source { connection, pool: Some(pool) }) = self.source.take() {
            pool.put(connection, Framing::NOTHING);
        }
    }
}

fn cut(_: io::Result<usize>) -> BoxError {
    Closed { sent: true }.into()
}

impl Framing {
    /// What has arrived of the body.
    pub(super) fn take(&mut self, connection: &mut Connection) -> Result<Option<Bytes>, NotHttp> {
        let buffer = connection.buffer();
        match self {
            Framing::Chunked(state) => Ok(chunked::next(state, buffer)?),
            Framing::Length(left) => {
                let length = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                Ok((length > 0).then(|| buffer.split_to(length).freeze()))
            }
            Framing::Close => Ok((!buffer.is_empty()).then(|| buffer.split().freeze())),
        }
    }

    /// Whether the end was read.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(chunked::State::End))
    }
}
