use super::Limits;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// What a connection is doing, known to its two ends: the socket, which sees heads begin, and the service, which sees
/// requests and the ends of their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

/// Accepted, and nothing has been read yet.
const FRESH: u8 = 0;
/// A request head is arriving.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;
/// The last answer is complete.
const IDLE: u8 = 3;

impl Phase {
    /// Whether no byte was ever read.
    pub(super) fn is_fresh(&self) -> bool {
        self.get() == FRESH
    }

    /// A request is being answered until the guard is dropped.
    pub(super) fn busy(&self) -> Busy {
        self.set(BUSY);
        Busy(self.clone())
    }

    // One connection's task does all the reading and writing, so that no ordering is at stake.
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }
}

/// Held while a request is being answered.
#[derive(Debug)]
pub(super) struct Busy(Phase);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(IDLE);
    }
}

/// A stream that fails when a request head takes too long.
///
/// hyper's own head timeout runs from the end of the last answer and so bounds idleness and head together; a client
/// that keeps connections open for a minute must not also have a minute for each head.
pub(super) struct Watched<T> {
    stream: T,
    phase: Phase,
    limits: Limits,
    // Boxed because hyper wants a stream that can be moved.
    head: Pin<Box<Sleep>>,
}

impl<T> Watched<T> {
    pub(super) fn new(stream: T, phase: Phase, limits: Limits) -> Self {
        Self { stream, phase, limits, head: Box::pin(sleep(limits.head)) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buf) {
            match this.phase.get() {
                // The deadline has been running since the connection was accepted.
                FRESH if buf.filled().len() > before => this.phase.set(HEAD),
                IDLE if buf.filled().len() > before => {
                    this.phase.set(HEAD);
                    this.head.as_mut().reset(Instant::now() + this.limits.head);
                }
                _ => {}
            }
            return Poll::Ready(result);
        }
        if matches!(this.phase.get(), FRESH | HEAD) {
            ready!(this.head.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request head took too long")));
        }
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
