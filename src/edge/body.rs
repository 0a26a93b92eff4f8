use super::message::Message;
use crate::sse;
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use std::{
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
    Full(Message),
    Stream(Box<Frames>),
}

impl Body {
    pub(super) fn empty() -> Self {
        Bytes::new().into()
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

impl From<Message> for Body {
    fn from(message: Message) -> Self {
        Self(Kind::Full(message))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Message::from(bytes).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut self.get_mut().0 {
            Kind::Full(message) => Poll::Ready(message.piece()),
            Kind::Stream(frames) => frames.poll_next(cx),
        };
        frame.map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(message) => message.len() == 0,
            Kind::Stream(frames) => frames.inner.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(message) => SizeHint::with_exact(message.len() as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(message) => write!(f, "Body({} bytes)", message.len()),
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
