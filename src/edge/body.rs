use crate::sse;
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// The body of an answer: complete bytes, or an event stream that is written as the reply arrives.
///
/// It never fails: what goes wrong in a stream is written into it as the answer. Dropping one that has not ended
/// cancels a call of revision 2026-07-28; that of an earlier client goes on.
pub struct Body(Kind);

enum Kind {
    Full(Bytes),
    /// One after another; none is empty.
    Pieces(VecDeque<Bytes>),
    Stream(Box<Frames>),
}

impl Body {
    pub(super) const fn empty() -> Self {
        Self(Kind::Full(Bytes::new()))
    }

    /// A large answer, whose middle is the result as it came rather than a copy.
    pub(super) fn pieces(pieces: [Bytes; 3]) -> Self {
        Self(Kind::Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()))
    }

    /// A stream of whole frames, with a comment whenever none came for `keep_alive`.
    pub(super) fn frames<S>(frames: S, keep_alive: Duration) -> Self
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        Self(Kind::Stream(Box::new(Frames {
            inner: Some(Box::pin(frames)),
            keep_alive,
            silence: Box::pin(sleep(keep_alive)),
        })))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Full(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut self.get_mut().0 {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(std::mem::take(bytes))),
            Kind::Pieces(pieces) => Poll::Ready(pieces.pop_front()),
            Kind::Stream(frames) => frames.poll_next(cx),
        };
        frame.map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Pieces(pieces) => pieces.is_empty(),
            Kind::Stream(frames) => frames.inner.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Pieces(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Pieces(pieces) => write!(f, "Body({} pieces)", pieces.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

struct Frames {
    // Dropped with its last frame, so that what it holds does not wait for the connection to notice.
    inner: Option<Pin<Box<dyn Stream<Item = Bytes> + Send>>>,
    keep_alive: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Frames {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = match inner.as_mut().poll_next(cx) {
            Poll::Ready(None) => {
                self.inner = None;
                return Poll::Ready(None);
            }
            Poll::Ready(frame) => frame,
            Poll::Pending if self.silence.as_mut().poll(cx).is_ready() => Some(sse::KEEP_ALIVE),
            Poll::Pending => return Poll::Pending,
        };
        self.silence.as_mut().reset(Instant::now() + self.keep_alive);
        Poll::Ready(frame)
    }
}
