use super::{
    message::Message,
    parts::Broken,
    stream::{WriteEvents, Written},
};
use crate::{clock, sse, timer::Timer};
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use std::{
    cell::Cell,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// The body of an answer: complete bytes, a large result that is written as it arrives, or an event stream.
///
/// The first cannot fail, and the others do with [`Broken`] where a large result does not end well that has begun; what else goes
/// wrong in an event stream is written into it as the answer.
/// Dropping one that has not ended cancels a call of revision 2026-07-28; that of an earlier client goes on, unless it has
/// part of its answer already.
pub struct Body(Kind);

enum Kind {
    Full(Message),
    Parts(Box<Parts>),
    Stream(Box<Frames>),
}

impl Body {
    pub(super) fn empty() -> Self {
        Bytes::new().into()
    }

    /// One text in messages, as they come.
    pub(super) fn parts<S>(parts: S) -> Self
    where
        S: Stream<Item = Result<Message, Broken>> + Send + 'static,
    {
        Self(Kind::Parts(Box::new(Parts { inner: Box::pin(parts), current: Bytes::new().into() })))
    }

    /// A stream of events, with a comment whenever none came for `keep_alive`.
    pub(super) fn events(events: impl WriteEvents + 'static, keep_alive: Duration) -> Self {
        Self(Kind::Stream(Box::new(Frames {
            events: Some(Box::pin(events)),
            broken: None,
            within: false,
            keep_alive,
            spoken: false,
            since: clock::now(),
            silence: Timer::new(clock::now() + keep_alive),
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
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match &mut self.get_mut().0 {
            Kind::Full(message) => Poll::Ready(message.piece().map(Ok)),
            Kind::Parts(parts) => parts.poll_next(cx),
            Kind::Stream(frames) => frames.poll_next(cx),
        };
        frame.map(|frame| frame.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(message) => message.len() == 0,
            Kind::Parts(_) => false,
            Kind::Stream(frames) => frames.events.is_none() && frames.broken.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(message) => SizeHint::with_exact(message.len() as u64),
            Kind::Parts(_) | Kind::Stream(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(message) => write!(f, "Body({} bytes)", message.len()),
            Kind::Parts(_) => f.write_str("Body(parts)"),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

struct Parts {
    inner: Pin<Box<dyn Stream<Item = Result<Message, Broken>> + Send>>,
    /// What is left of the last message.
    current: Message,
}

impl Parts {
    #[inline(never)]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if let Some(piece) = self.current.piece() {
                return Poll::Ready(Some(Ok(piece)));
            }
            match ready!(self.inner.as_mut().poll_next(cx)) {
                Some(Ok(message)) => self.current = message,
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// What has been written of a frame when no further event is taken into it. An event that is larger is a frame of its own.
const FULL: usize = 32 << 10;

thread_local! {
    /// Where frames are written; most are short, and leave as a copy of their length.
    static PAPER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Frames {
    // Dropped with its last event, so that what it holds does not wait for the connection to notice.
    events: Option<Pin<Box<dyn WriteEvents>>>,
    /// Why there is no more behind the last frame, though an event of it has no end.
    broken: Option<Broken>,
    /// Whether the last event goes on, so that a comment would be part of it.
    within: bool,
    keep_alive: Duration,
    /// Whether anything was said since there was nothing more to say.
    spoken: bool,
    /// Since when there has been nothing to say. The timer is moved when it fires too early, not with every frame.
    since: Instant,
    silence: Timer,
}

impl Frames {
    /// The events that are there, in one frame. None waits for another.
    #[inline(never)]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(events) = &mut self.events else { return Poll::Ready(self.broken.take().map(Err)) };
        let mut out = PAPER.take();
        let pending = loop {
            match events.as_mut().poll_write(cx, &mut out) {
                Poll::Ready(Some(Ok(written))) => {
                    self.within = written == Written::Piece;
                    if out.len() >= FULL || written == Written::Alone {
                        break false;
                    }
                }
                Poll::Ready(Some(Err(broken))) => {
                    (self.events, self.broken) = (None, Some(broken));
                    break false;
                }
                Poll::Ready(None) => {
                    self.events = None;
                    break false;
                }
                Poll::Pending => break true,
            }
        };
        let frame = frame(out);
        if frame.is_none() && pending {
            return self.poll_silence(cx).map(|comment| comment.map(Ok));
        }
        self.spoken = true;
        Poll::Ready(frame.map(Ok).or_else(|| self.broken.take().map(Err)))
    }

    /// A comment, when it is time for one.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if mem::take(&mut self.spoken) {
            self.since = clock::now();
        }
        loop {
            ready!(self.silence.poll(cx));
            let due = self.since + self.keep_alive;
            let is_time = Instant::now() >= due;
            self.silence.reset(if is_time { Instant::now() + self.keep_alive } else { due });
            if is_time && !self.within {
                self.spoken = true;
                return Poll::Ready(Some(sse::KEEP_ALIVE));
            }
        }
    }
}

/// What was written, if anything was. The paper is used again.
fn frame(mut out: Vec<u8>) -> Option<Bytes> {
    if out.len() >= FULL {
        return Some(out.into());
    }
    let frame = (!out.is_empty()).then(|| Bytes::copy_from_slice(&out));
    out.clear();
    PAPER.set(out);
    frame
}
