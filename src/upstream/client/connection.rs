use super::{
    head::{Head, Heads, NotHttp},
    repeated::Repeated,
    request::Wire,
    stream::Stream,
};
use bytes::BytesMut;
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

/// Room made for what arrives, in bytes: an ordinary answer with its head.
const ROOM: usize = 8 << 10;
/// The most room made for what goes on arriving: as much as a socket holds at a time, and no burden where many answers do.
const MOST_ROOM: usize = 64 << 10;

/// A connection that one call at a time drives; no task of its own reads it.
pub(super) struct Connection {
    stream: Stream,
    /// What has arrived and is not read yet.
    buffer: BytesMut,
    /// The room that is made next, in bytes.
    room: usize,
    repeated: Repeated,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// No byte of the request left, so it may be sent elsewhere.
    Unsent(io::Error),
    Io(io::Error),
    /// The end of the connection in place of an answer.
    Ended,
    NotHttp(NotHttp),
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, buffer: BytesMut::new(), room: ROOM, repeated: Repeated::default() }
    }

    /// Writes a request and waits for the head of its answer.
    ///
    /// An answer that comes before all of the request is written is taken: a server may refuse what it has not read.
    pub(super) fn poll_exchange(
        &mut self,
        request: &Wire,
        outgoing: &mut Outgoing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Broken>> {
        let written = self.poll_write(cx, request, outgoing)?;
        loop {
            if let Some(mut head) = self.take_head(&mut outgoing.heads).map_err(Broken::NotHttp)? {
                head.keeps_alive &= written;
                return Poll::Ready(Ok(head));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(outgoing.broken.take().map_or(Broken::Ended, Broken::Io))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Broken::Io(error))),
            }
        }
    }

    fn take_head(&mut self, heads: &mut Heads) -> Result<Option<Head>, NotHttp> {
        if let Some(head) = self.repeated.take(&mut self.buffer) {
            return Ok(Some(head));
        }
        let head = heads.take(&mut self.buffer)?;
        if let Some(head) = &head {
            self.repeated.put(head);
        }
        Ok(head)
    }

    /// Writes what can be written; `true` once that is all.
    fn poll_write(&mut self, cx: &mut Context<'_>, request: &Wire, outgoing: &mut Outgoing) -> Result<bool, Broken> {
        if outgoing.broken.is_some() {
            return Ok(false);
        }
        while outgoing.written < request.len() {
            let stream = Pin::new(&mut self.stream);
            let wrote = match request.rest(outgoing.written) {
                (head, []) => stream.poll_write(cx, head),
                ([], body) => stream.poll_write(cx, body),
                (head, body) => stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]),
            };
            match wrote {
                Poll::Ready(Ok(0)) => return outgoing.fail(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(wrote)) => outgoing.written += wrote,
                Poll::Ready(Err(error)) => return outgoing.fail(error),
                Poll::Pending => return Ok(false),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(error)) => outgoing.fail(error),
            Poll::Pending => Ok(false),
        }
    }

    /// Reads more into the buffer; 0 at the end of the connection.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(self.room);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let filled = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer));
        if matches!(filled, Ok(more) if more == room) {
            self.room = MOST_ROOM.min(2 * self.room);
        }
        Poll::Ready(filled)
    }

    /// Waits for what must not come between two answers: the connection's end, or bytes that answer nothing.
    pub(super) fn poll_stray(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.room = ROOM;
        if self.buffer.is_empty() { self.poll_fill(cx).map(drop) } else { Poll::Ready(()) }
    }

    /// As [`buffer`](Self::buffer), to be looked at.
    #[cfg(feature = "http")]
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// What has arrived and is not read yet.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }
}

/// How far a request and its answer have come.
#[derive(Default)]
pub(super) struct Outgoing {
    written: usize,
    /// The rest cannot be written, but what was may have been answered.
    broken: Option<io::Error>,
    heads: Heads,
}

impl Outgoing {
    /// Whether any of the request has left.
    #[cfg(feature = "http")]
    pub(super) fn has_begun(&self) -> bool {
        self.written > 0
    }

    fn fail(&mut self, error: io::Error) -> Result<bool, Broken> {
        if self.written == 0 {
            return Err(Broken::Unsent(error));
        }
        self.broken = Some(error);
        Ok(false)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("unread", &self.buffer.len()).finish_non_exhaustive()
    }
}
