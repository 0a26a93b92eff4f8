use super::{super::Limits, phase::Phase};
use crate::metrics::{Count, Metrics};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// A stream that fails when the first request head takes too long or nothing is read at the other end.
pub(super) struct Watched<T> {
    stream: T,
    phase: Phase,
    limits: Limits,
    metrics: Metrics,
    // Boxed because hyper wants a stream that can be moved.
    head: Pin<Box<Sleep>>,
    /// Runs while a write waits for the client to read.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<T> Watched<T> {
    /// The client's time for its first head has been running since `begun`.
    pub(super) fn new(stream: T, phase: Phase, limits: Limits, metrics: Metrics, begun: Instant) -> Self {
        let head = Box::pin(sleep_until(begun + limits.head));
        Self { stream, phase, limits, metrics, head, stall: None }
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
                this.phase.head_begins();
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

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.moves(cx, shut)
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
