use super::{
    super::{Limits, MAX_BUFFER},
    deadline::{Deadline, Due},
    ended::Ended,
    head::{Head, Heads},
    input::Input,
    output::Output,
    upload::{Upload, Wanted},
};
use crate::clock;
use bytes::Buf;
use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::coop,
    time::Instant,
};

/// How long, and for how many bytes, a client is listened to that still sends when all has been said to it.
///
/// Closing at once would make the system discard what the client has not read yet, the 413 first of all.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 16 << 20);

/// The stream, with what has been read ahead and what is still to be written.
pub(super) struct Wire<T, D> {
    stream: T,
    pub(super) input: Input,
    pub(super) output: Output<D>,
    pub(super) deadline: Deadline,
    limits: Limits,
    heads: Heads,
    /// Whether any byte was ever read.
    is_fresh: bool,
    /// How much more is read of a client that has been told all.
    lingers: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin, D: Buf> Wire<T, D> {
    /// The client's time for its first head has been running since `begun`.
    pub(super) fn new(stream: T, limits: Limits, begun: Instant) -> Self {
        Self {
            stream,
            input: Input::default(),
            output: Output::new(),
            deadline: Deadline::new(begun + limits.head, Due::Request),
            limits,
            heads: Heads::default(),
            is_fresh: true,
            lingers: LINGER.1,
        }
    }

    /// The head of the next request; `None` if there will be none, because the client has gone or idled for too long, or is not
    /// to be served any more.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, is_over: bool) -> Poll<Result<Option<Head>, Ended>> {
        loop {
            if let Some(head) = self.heads.take(self.input.buffer())? {
                self.input.settle();
                self.deadline.clear();
                return Poll::Ready(Ok(Some(head)));
            }
            if is_over && self.input.is_empty() {
                return Poll::Ready(Ok(None));
            }
            match self.input.poll_fill(&mut self.stream, cx) {
                Poll::Ready(Ok(0)) if self.input.is_empty() => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Ended::Gone)),
                Poll::Ready(read) => self.is_fresh &= read? == 0,
                Poll::Pending => {
                    // The time for a first head has been running since the connection was accepted.
                    if !self.input.is_empty() && self.deadline.due() == Some(Due::Idle) {
                        self.deadline.set(Instant::now() + self.limits.head, Due::Request);
                    }
                    return match ready!(self.deadline.poll(cx)) {
                        Due::Idle => Poll::Ready(Ok(None)),
                        due => Poll::Ready(Err(Ended::Late(due))),
                    };
                }
            }
        }
    }

    /// The time until the next request begins now.
    pub(super) fn idle(&mut self) -> Instant {
        let now = clock::now();
        self.deadline.set(now + self.limits.idle, Due::Idle);
        now
    }

    pub(super) fn stream(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Whether the client has not said anything yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Writes what there is to be written, and gives up when the client reads nothing for too long.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while !self.output.is_empty() {
            match self.output.poll_write(&mut self.stream, cx) {
                Poll::Ready(written) => {
                    written?;
                    self.deadline.clear();
                }
                Poll::Pending => return self.poll_stall(cx),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                if self.deadline.due() == Some(Due::Stall) {
                    self.deadline.clear();
                }
                Poll::Ready(flushed.map_err(Ended::from))
            }
            Poll::Pending => self.poll_stall(cx),
        }
    }

    /// Waits for the client to read, which it must go on doing.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if self.deadline.due() != Some(Due::Stall) {
            self.deadline.set(Instant::now() + self.limits.stall, Due::Stall);
        }
        self.deadline.poll(cx).map(|due| Err(Ended::Late(due)))
    }

    /// Brings a request's body to whoever asks for it. Ready when something was handed over, so that who waits for it must be
    /// polled again; an error when the client has gone, or sends what is no body, of which no more is read then.
    pub(super) fn poll_upload(
        &mut self,
        upload: &mut Option<Upload>,
        expects: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Ended>> {
        let Some(body) = upload else { return self.poll_gone(cx) };
        match body.wanted(cx) {
            Wanted::Piece => {}
            Wanted::Later => return Poll::Pending,
            Wanted::Nothing => return self.poll_gone(cx),
        }
        loop {
            let fed = body.feed(cx, self.input.buffer()).map_err(Ended::malformed);
            if !matches!(fed, Ok(false)) {
                self.input.settle();
                if fed.is_err() || body.framing().is_over() {
                    *upload = None;
                }
                return Poll::Ready(fed.map(drop));
            }
            if std::mem::take(expects) {
                self.output.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !self.output.is_empty()
                && let Poll::Ready(flushed) = self.poll_flush(cx)
            {
                flushed?;
            }
            let filled = ready!(self.input.poll_fill(&mut self.stream, cx));
            if !matches!(filled, Ok(1..)) {
                body.fail(cx, io::ErrorKind::UnexpectedEof.into());
                return Poll::Ready(Err(filled.map_or_else(Ended::from, |_| Ended::Gone)));
            }
        }
    }

    /// Reads ahead, to learn when the client goes away; an error then. What it sends meanwhile is its next request.
    ///
    /// Also where the answer has used up the task's turn: one that always does would never let the client go. What is read is
    /// bounded by itself.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while self.input.len() < MAX_BUFFER {
            let filled = pin!(coop::unconstrained(poll_fn(|cx| self.input.poll_fill(&mut self.stream, cx)))).poll(cx);
            if ready!(filled)? == 0 {
                return Poll::Ready(Err(Ended::Gone));
            }
        }
        Poll::Pending
    }

    /// Reads what is left of a body that nobody reads any more.
    pub(super) fn poll_skip(&mut self, upload: &mut Upload, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            while upload.framing().take(self.input.buffer()).map_err(|why| Ended::malformed(why.0))?.is_some() {}
            self.input.settle();
            if upload.framing().is_over() {
                return Poll::Ready(Ok(()));
            }
            match self.input.poll_fill(&mut self.stream, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Ended::Gone)),
                Poll::Ready(read) => read.map(drop)?,
                Poll::Pending => {
                    if self.deadline.due() != Some(Due::Request) {
                        self.deadline.set(Instant::now() + self.limits.head, Due::Request);
                    }
                    return self.deadline.poll(cx).map(|due| Err(Ended::Late(due)));
                }
            }
        }
    }

    /// Says that nothing more will come; one who `owes` the rest of what it was sending is heard out for a while.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>, owes: bool) -> Poll<Result<(), Ended>> {
        if self.deadline.due() != Some(Due::Linger) {
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Ready(shut) => shut?,
                Poll::Pending => return self.poll_stall(cx),
            }
            if !owes {
                return Poll::Ready(Ok(()));
            }
            self.deadline.set(Instant::now() + LINGER.0, Due::Linger);
        }
        loop {
            self.lingers = self.lingers.saturating_sub(self.input.len());
            self.input.buffer().clear();
            if self.lingers == 0 {
                return Poll::Ready(Ok(()));
            }
            match self.input.poll_fill(&mut self.stream, cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.deadline.poll(cx).map(|_| Ok(())),
            }
        }
    }
}
