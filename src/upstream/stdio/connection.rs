use super::{
    group::Group,
    lines::{Line, Lines},
    service::{Counters, Frame},
    writer::Writer,
};
use crate::{EndpointId, json::Ends, upstream::mux::Mux};
use std::{convert::Infallible, io, process::ExitStatus, sync::Arc, time::Duration};
use tokio::{
    io::AsyncRead,
    process::{Child, ChildStderr, ChildStdout},
    sync::mpsc,
    time,
};
use tokio_util::sync::CancellationToken;

/// Longest line of stderr that is logged whole.
const STDERR_LINE: usize = 16 << 10;
/// Lines of stderr that are logged in a span: a stack trace or two of any language, and no disk filled by a child that
/// complains in a loop.
const STDERR_LINES: u32 = 200;
/// After which as many lines are logged again.
const STDERR_SPAN: Duration = Duration::from_secs(1);
/// How long what an exited child left in its pipe may take to be read: it is all there, unless an escaped process holds
/// the pipe open.
pub(super) const LEFTOVER: Duration = Duration::from_millis(100);

/// Why the exchange with a child ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody wants the server any more.
    Released,
    /// The child exited; its group is killed.
    Exited(String),
    /// A pipe broke while the child lives on, which makes it useless.
    Broken(&'static str),
    /// It runs and does not answer, not even a health check.
    Hung,
}

impl End {
    fn exited(status: io::Result<ExitStatus>) -> Self {
        End::Exited(status.map_or_else(|error| error.to_string(), |status| status.to_string()))
    }

    /// Why there is no child any more; `None` where nobody wants one.
    pub(super) fn reason(&self) -> Option<Arc<str>> {
        match self {
            End::Released => None,
            End::Exited(status) => Some(format!("the child exited ({status})").into()),
            End::Hung => Some("the child did not answer and was killed".into()),
            End::Broken(how) => Some(format!("the child was stopped: {how}").into()),
        }
    }
}

/// What one exchange needs beside the pipes.
pub(super) struct Exchange<'a> {
    pub(super) id: &'a EndpointId,
    pub(super) mux: &'a Mux,
    pub(super) epoch: u64,
    pub(super) queue: &'a mut mpsc::Receiver<Frame>,
    pub(super) released: &'a CancellationToken,
    pub(super) hurry: &'a CancellationToken,
    pub(super) counters: &'a Counters,
}

/// The pipes that are read to the very end, also while the child is being stopped: a child that cannot write does not
/// leave.
pub(super) struct Output {
    stdout: Lines<ChildStdout>,
    stderr: Lines<ChildStderr>,
}

impl Output {
    /// Takes the pipes of a child.
    pub(super) fn of(child: &mut Child, limit: usize) -> Option<Self> {
        let (stdout, stderr) = (child.stdout.take()?, child.stderr.take()?);
        Some(Self { stdout: Lines::new(stdout, limit), stderr: Lines::new(stderr, STDERR_LINE) })
    }

    /// Reads and forgets stdout, logs stderr, to the end of both.
    pub(super) async fn drain(&mut self, id: &EndpointId, counters: &Counters) {
        let stdout = async { while let Ok(Some(_)) = self.stdout.next().await {} };
        tokio::join!(stdout, log(id, counters, &mut self.stderr));
    }
}

/// Carries messages until the child, a pipe or the last handle is gone. stdin is closed on return.
pub(super) async fn run(exchange: Exchange<'_>, child: &mut Child, group: &mut Group, output: &mut Output) -> End {
    let Some(stdin) = child.stdin.take() else { return End::Broken("it has no stdin") };
    let Exchange { id, mux, epoch, queue, released, hurry, counters } = exchange;
    let mut reader = std::pin::pin!(read(id, mux, counters, &mut output.stdout));
    let mut logger = std::pin::pin!(async {
        log(id, counters, &mut output.stderr).await;
        std::future::pending::<Infallible>().await
    });
    let mut writer = std::pin::pin!(Writer::new(mux, epoch, queue).run(stdin));
    tokio::select! {
        () = released.cancelled() => End::Released,
        () = hurry.cancelled() => End::Released,
        () = mux.hung() => End::Hung,
        never = &mut logger => match never {},
        status = child.wait() => {
            group.kill();
            // Its last words are read before the calls in flight are given up.
            let _ = time::timeout(LEFTOVER, &mut reader).await;
            End::exited(status)
        }
        () = &mut reader => match time::timeout(LEFTOVER, child.wait()).await {
            // stdout usually closes a moment before the exit can be seen.
            Ok(status) => {
                group.kill();
                End::exited(status)
            }
            Err(_) => End::Broken("it closed its stdout"),
        },
        _ = &mut writer => match time::timeout(LEFTOVER, async { tokio::join!(child.wait(), &mut reader) }).await {
            Ok((status, ())) => {
                group.kill();
                End::exited(status)
            }
            Err(_) => End::Broken("it closed its stdin"),
        },
    }
}

async fn read<R: AsyncRead + Unpin>(id: &EndpointId, mux: &Mux, counters: &Counters, stdout: &mut Lines<R>) {
    loop {
        // What is buffered is there without a wait: a child that floods must leave the thread to others now and then.
        tokio::task::coop::consume_budget().await;
        let line = match stdout.next().await {
            Ok(Some(Line::Whole(line))) => line,
            Ok(Some(Line::Cut { head, tail })) => {
                let limit = stdout.limit();
                tracing::warn!(server = %id, limit, "a message above the limit was skipped");
                counters.cut();
                // A server numbers its own requests as well: one that is cut says nothing about a call.
                if let Ends::Answer(id) = Ends::read(&head, &tail) {
                    mux.too_large(id, limit);
                }
                continue;
            }
            Ok(None) => return,
            Err(error) => return tracing::debug!(server = %id, %error, "cannot read stdout"),
        };
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match mux.deliver(line.slice_ref(text)) {
            Ok(()) => {}
            Err(reason) if counters.skip() => {
                tracing::warn!(server = %id, %reason, "a line on stdout is no message; further ones are only counted");
            }
            Err(reason) => tracing::trace!(server = %id, %reason, "a line on stdout is no message"),
        }
    }
}

/// Logs stderr, at most [`STDERR_LINES`] a [`STDERR_SPAN`]. It is read to the end whatever it says, so that a child that
/// complains is never held up.
async fn log(id: &EndpointId, counters: &Counters, stderr: &mut Lines<ChildStderr>) {
    let mut quota = Quota::default();
    while let Ok(Some(line)) = stderr.next().await {
        tokio::task::coop::consume_budget().await;
        match quota.take(time::Instant::now()) {
            Take::Drop => {
                counters.unlogged();
                continue;
            }
            Take::Log { dropped: 0 } => {}
            Take::Log { dropped } => {
                tracing::warn!(target: "mcp::stderr", server = %id, dropped, "lines of stderr were not logged");
            }
        }
        let (line, cut) = match &line {
            Line::Whole(line) => (line, false),
            Line::Cut { head, .. } => (head, true),
        };
        let line = String::from_utf8_lossy(line);
        tracing::info!(target: "mcp::stderr", server = %id, cut, "{}", line.trim_end());
    }
    if quota.dropped > 0 {
        let dropped = quota.dropped;
        tracing::warn!(target: "mcp::stderr", server = %id, dropped, "lines of stderr were not logged");
    }
}

/// How many lines may still be logged in this span.
#[derive(Debug, Default)]
struct Quota {
    span: Option<time::Instant>,
    logged: u32,
    dropped: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Take {
    /// Log it, and first how many were dropped since the last time that was told.
    Log {
        dropped: u64,
    },
    Drop,
}

impl Quota {
    fn take(&mut self, now: time::Instant) -> Take {
        if self.span.is_none_or(|begun| now.duration_since(begun) >= STDERR_SPAN) {
            (self.span, self.logged) = (Some(now), 0);
        }
        if self.logged == STDERR_LINES {
            self.dropped += 1;
            return Take::Drop;
        }
        self.logged += 1;
        Take::Log { dropped: std::mem::take(&mut self.dropped) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Call, Method, Revision,
        json::Params,
        metrics::{Calls, Metrics},
        upstream::{Hop, Outbound, error::TooLarge},
    };
    use futures_util::FutureExt;

    #[tokio::test]
    async fn of_messages_above_the_limit_only_answers_fail_calls() {
        let (id, counters) = (EndpointId::from("a"), Counters::new(Calls::default(), Metrics::default()));
        let fill = "x".repeat(100);
        for (message, fails) in [
            (
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{{"a":"{fill}"}}}}"#),
                false,
            ),
            (format!(r#"{{"method":"notifications/message","params":{{"a":"{fill}"}},"id":1}}"#), false),
            (format!(r#"{{"jsonrpc": "2.0", "id": 1, "result": {{"a": "{fill}"}}}}"#), true),
            (format!(r#"{{"jsonrpc": "2.0", "result": {{"a": "{fill}"}}, "id": 1}}"#), true),
            (format!(r#"{{"result":{{"a":"{fill}"}},"id":1,"of":"another member"}}"#), true),
        ] {
            let mux = Mux::new();
            let call = Call::new(Method::PING, Params::empty());
            let outbound = Outbound { call, hop: Hop::new(Some(Revision::V2025_11_25), mux.connect()).into() };
            let (_, ticket) = mux.open(&outbound).unwrap();
            assert!(mux.begin(ticket.id()));
            read(&id, &mux, &counters, &mut Lines::new(message.as_bytes(), 80)).await;
            let failed = ticket.now_or_never().map(|failed| failed.unwrap_err().is::<TooLarge>());
            assert_eq!(failed, fails.then_some(true), "{message}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stderr_is_logged_up_to_a_rate_and_what_is_not_is_counted() {
        let (mut quota, begun) = (Quota::default(), time::Instant::now());
        for _ in 0..STDERR_LINES {
            assert_eq!(quota.take(begun), Take::Log { dropped: 0 });
        }
        for _ in 0..1_000 {
            assert_eq!(quota.take(begun + STDERR_SPAN / 2), Take::Drop);
        }
        assert_eq!(quota.take(begun + STDERR_SPAN), Take::Log { dropped: 1_000 });
        assert_eq!(quota.take(begun + STDERR_SPAN), Take::Log { dropped: 0 });
    }
}
