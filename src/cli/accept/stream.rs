use super::{Limits, framing::Framing, phase::Phase};
use crate::metrics::{Count, Metrics};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// How long, and for how many bytes, a client is listened to that still sends when all has been said to it.
///
/// Closing at once would make the system discard what the client has not read yet, the 413 first of all.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 16 << 20);

/// A stream that fails when a request head takes too long or nothing is read at the other end, and on which heads that
/// are not plain do not arrive.
///
/// hyper's own head timeout runs from the end of the last answer and so bounds idleness and head together; a client
/// that keeps connections open for a minute must not also have a minute for each head.
pub(super) struct Watched<T> {
    stream: T,
    phase: Phase,
    /// `None` where the bytes are frames of HTTP/2, which its reader follows itself.
    framing: Option<Framing>,
    limits: Limits,
    metrics: Metrics,
    // Boxed because hyper wants a stream that can be moved.
    head: Pin<Box<Sleep>>,
    /// Runs while a write waits for the client to read.
    stall: Option<Pin<Box<Sleep>>>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<T> Watched<T> {
    /// A stream of HTTP/1.1; the client's time for its first head has been running since `begun`.
    pub(super) fn new(stream: T, phase: Phase, limits: Limits, metrics: Metrics, begun: Instant) -> Self {
        let framing = Some(Framing::default());
        Self { framing, ..Self::frames(stream, phase, limits, metrics, begun) }
    }

    /// A stream of HTTP/2.
    pub(super) fn frames(stream: T, phase: Phase, limits: Limits, metrics: Metrics, begun: Instant) -> Self {
        let head = Box::pin(sleep_until(begun + limits.head));
        Self { stream, phase, framing: None, limits, metrics, head, stall: None, linger: None }
    }

    /// The outcome of a write; one that has waited for too long fails.
    fn moves<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let limit = self.limits.stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        self.metrics.count(Count::StalledClient);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            if buf.filled().len() > before {
                if this.phase.head_begins() {
                    this.head.as_mut().reset(Instant::now() + this.limits.head);
                }
                if let Some(framing) = &mut this.framing {
                    framing.follow(&mut buf.filled_mut()[before..]);
                }
            }
            return Poll::Ready(result);
        }
        if this.phase.is_head() {
            ready!(this.head.as_mut().poll(cx));
            this.metrics.count(Count::SlowClient);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request head took too long")));
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Watched<T> {
    /// Reads and forgets what a client still sends, until it stops or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((deadline, left)) = &mut self.linger else { return Poll::Ready(()) };
        let mut space = [0; 8 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && buf.filled().len() < *left => {
                    *left -= buf.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return deadline.as_mut().poll(cx),
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.moves(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(cx) {
            // Nothing is known of a write that still waits.
            Poll::Ready(flushed) => Poll::Ready(flushed),
            pending => this.moves(cx, pending),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
            ready!(this.moves(cx, shut))?;
            if this.framing.as_ref().is_none_or(Framing::is_between) {
                return Poll::Ready(Ok(()));
            }
            this.linger = Some((Box::pin(sleep(LINGER.0)), LINGER.1));
        }
        this.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.moves(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
