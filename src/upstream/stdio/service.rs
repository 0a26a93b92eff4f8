use super::{
    child::{CannotStart, Recipe},
    driver::Driver,
    future::ResponseFuture,
};
use crate::{
    BoxError, Method, Reply,
    metrics::{Calls, Count, Metrics},
    registry::Server,
    reply::Outcome,
    upstream::{
        Outbound, Settings, Transport,
        error::{Closed, Connect, NotStarted},
        mux::{Mux, Ticket},
    },
};
use bytes::Bytes;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::{
    sync::{mpsc, watch},
    time,
};
use tokio_util::sync::{CancellationToken, DropGuard, PollSender};
use tower::Service;

/// Frames that wait to be written. Few: what waits here could not be sent elsewhere if the child hangs, and a full
/// queue is what makes `poll_ready` pending.
const QUEUE: usize = 32;

/// A server behind the pipes of a child process.
///
/// Clones are handles to one child; none inherits the readiness of another. When all are gone, and all replies, the
/// child is stopped.
///
/// ```
/// use tower_mcp_gateway::{registry::Server, upstream::{Transport, stdio::Stdio}};
///
/// # tokio_test::block_on(async {
/// let server = Server::stdio("echo-1", "echo", "cat");
/// let stdio = Stdio::new(&server).expect("a stdio server");
/// assert_eq!(stdio.connected().await?, 1);
/// # drop(stdio); server.tasks().close(); server.tasks().wait().await;
/// # Ok::<(), tower_mcp_gateway::BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Stdio {
    /// The place is reserved in `poll_ready` and filled in `call`; a clone starts without one.
    queue: PollSender<Frame>,
    mux: Mux,
    phase: watch::Receiver<Phase>,
    settings: Arc<Settings>,
    counters: Arc<Counters>,
    lease: Lease,
}

/// Keeps the child alive.
pub(super) type Lease = Arc<DropGuard>;

/// A message on its way to the child's stdin.
pub(super) struct Frame {
    /// The only connection it may be written on.
    pub(super) epoch: u64,
    /// The call it opens; `None` for a notification.
    pub(super) slot: Option<u64>,
    pub(super) bytes: Bytes,
}

/// How the child is doing.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The driver was not polled yet.
    Starting,
    /// Running, under this connection number.
    Up(u64),
    /// Between two children.
    Down(Arc<str>),
    /// The latest start failed; the next will, until somebody mends it.
    CannotStart(CannotStart),
    /// The driver has ended.
    Gone,
}

impl Stdio {
    /// A handle to the child `server` describes, which a driver in its tracker starts right away; `None` if it is no
    /// stdio server.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(server: &Server) -> Option<Self> {
        let recipe = Recipe::of(server)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let (phase, phases) = watch::channel(Phase::Starting);
        let metrics = server.settings().metrics.clone();
        let counters = Arc::new(Counters::new(server.calls().clone(), metrics.clone()));
        let (mux, released) =
            (Mux::counting(metrics).of(server.id()).impatient(server.settings().hung_after), CancellationToken::new());
        let driver = Driver {
            id: server.id().clone(),
            recipe,
            settings: server.settings().clone(),
            mux: mux.clone(),
            queue,
            phase,
            counters: counters.clone(),
            released: released.clone(),
            hurry: server.hurry().clone(),
        };
        match &server.settings().runtimes {
            Some(runtimes) => server.tasks().spawn_on(driver.run(), runtimes.next()),
            None => server.tasks().spawn(driver.run()),
        };
        let lease = Arc::new(released.drop_guard());
        let settings = server.settings().clone();
        Some(Self { queue: PollSender::new(sender), mux, phase: phases, settings, counters, lease })
    }

    /// Why there is no connection at present, for the operator.
    pub fn fault(&self) -> Option<String> {
        self.phase.borrow().fault()
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let Counters { starts, skipped, cut, .. } = &*self.counters;
        Stats { starts: read(starts), skipped: read(skipped), cut: read(cut), dropped: self.mux.dropped() }
    }

    #[cfg(test)]
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    /// Turns the reserved place into what happens to this call.
    fn send(&mut self, outbound: &Outbound) -> Result<Sent, BoxError> {
        let (method, epoch) = (&outbound.call.method, outbound.hop.epoch);
        if *method == Method::LISTEN && !outbound.hop.is_modern() {
            return Ok(Sent::Answered(self.mux.listen(&outbound.hop)?));
        }
        if method.is_notification() {
            let bytes = self.mux.notification(outbound)?;
            self.enqueue(Frame { epoch, slot: None, bytes })?;
            return Ok(Sent::Answered(Reply::single(Outcome::Accepted)));
        }
        let (bytes, ticket) = self.mux.open(outbound)?;
        self.enqueue(Frame { epoch, slot: Some(ticket.id()), bytes })?;
        Ok(Sent::Waiting(ticket))
    }

    fn enqueue(&mut self, frame: Frame) -> Result<(), Closed> {
        self.queue.send_item(frame).map_err(|_| Closed { sent: false })
    }
}

enum Sent {
    Answered(Reply),
    Waiting(Ticket),
}

impl Service<Outbound> for Stdio {
    type Response = Reply;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(ready!(self.queue.poll_reserve(cx)).map_err(|_| Closed { sent: false }.into()))
    }

    fn call(&mut self, outbound: Outbound) -> ResponseFuture {
        let sent = self.send(&outbound);
        // Gives the place back where nothing was sent; otherwise it is spent and this does nothing.
        self.queue.abort_send();
        match sent {
            Ok(Sent::Waiting(ticket)) => ResponseFuture::sent(ticket, self.lease.clone()),
            Ok(Sent::Answered(reply)) => ResponseFuture::ready(Ok(reply)),
            Err(error) => ResponseFuture::ready(Err(error)),
        }
    }
}

impl Transport for Stdio {
    fn epoch(&self) -> u64 {
        self.mux.epoch()
    }

    /// Waits for the child to run: [`start_timeout`](Settings::start_timeout) for the first start,
    /// [`connect_timeout`](Settings::connect_timeout) while it is restarted. Fails at once while it cannot be started.
    async fn connected(&self) -> Result<u64, BoxError> {
        let first = matches!(*self.phase.borrow(), Phase::Starting);
        let patience = if first { self.settings.start_timeout } else { self.settings.connect_timeout };
        let mut phase = self.phase.clone();
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting | Phase::Down(_)));
        match time::timeout(patience, settled).await {
            Ok(Ok(phase)) => match &*phase {
                Phase::Up(epoch) => Ok(*epoch),
                Phase::CannotStart(error) => Err(Connect(error.clone().into()).into()),
                _ => Err(Closed { sent: false }.into()),
            },
            Ok(Err(_)) => Err(Closed { sent: false }.into()),
            Err(_) => Err(match self.fault() {
                Some(fault) => Connect(fault.into()).into(),
                None => NotStarted(patience).into(),
            }),
        }
    }
    fn fault(&self) -> Option<String> {
        Stdio::fault(self)
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stdio = f.debug_struct("Stdio");
        stdio.field("mux", &self.mux).field("phase", &*self.phase.borrow()).finish_non_exhaustive()
    }
}

/// What a stdio server has been seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Times the child was started, failures included.
    pub starts: u64,
    /// Lines on stdout that were no message.
    pub skipped: u64,
    /// Messages above [`max_message_bytes`](Settings::max_message_bytes).
    pub cut: u64,
    /// Notes that did not fit into a slow reader's buffer, and frames for a child that does not read.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) struct Counters {
    calls: Calls,
    metrics: Metrics,
    starts: AtomicU64,
    skipped: AtomicU64,
    cut: AtomicU64,
    /// Whether a skipped line was reported.
    reported: AtomicBool,
}

impl Counters {
    pub(super) fn new(calls: Calls, metrics: Metrics) -> Self {
        let zero = AtomicU64::default;
        Self { calls, metrics, starts: zero(), skipped: zero(), cut: zero(), reported: AtomicBool::default() }
    }

    pub(super) fn start(&self) {
        self.starts.fetch_add(1, Relaxed);
        self.calls.started();
    }

    pub(super) fn cut(&self) {
        self.cut.fetch_add(1, Relaxed);
        self.metrics.count(Count::Garbage);
    }

    /// Counts a line of stderr that is not logged.
    pub(super) fn unlogged(&self) {
        self.metrics.count(Count::LogLine);
    }

    /// Counts a line that is no message; `true` for the first one.
    pub(super) fn skip(&self) -> bool {
        self.skipped.fetch_add(1, Relaxed);
        self.metrics.count(Count::Garbage);
        !self.reported.swap(true, Relaxed)
    }
}
