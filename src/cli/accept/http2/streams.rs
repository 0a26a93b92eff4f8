use crate::metrics::{Count, Metrics};
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::futures::TaskLocalFuture,
    time::{Instant, Sleep, sleep, sleep_until},
};

tokio::task_local! {
    /// What the stream that is being polled has handed over.
    static HANDED: Handed;
}

/// How many pieces of its answer a stream has handed over so far, and whether the last one has not been taken on yet.
#[derive(Clone, Debug, Default)]
struct Handed(Arc<AtomicU64>);

const WAITS: u64 = 1;

/// A piece is on its way to the client; nothing more is asked for until there is room.
pub(super) fn handed() {
    // One task polls stream and answer, so that no ordering is at stake. Without it, as in a test, nobody wants to know.
    let _ = HANDED.try_with(|handed| handed.0.store((handed.0.load(Ordering::Relaxed) | WAITS) + 2, Ordering::Relaxed));
}

/// There is room for more.
pub(super) fn asked() {
    let _ = HANDED.try_with(|handed| handed.0.fetch_and(!WAITS, Ordering::Relaxed));
}

/// The requests in flight on one connection, each of which ends when its client takes nothing of the answer for too long.
///
/// Many requests share a connection, on which a client may take one answer and leave another: no stall of the socket tells
/// of that, so that each stream has a clock of its own.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    stall: Duration,
    metrics: Metrics,
    in_flight: Arc<watch::Sender<usize>>,
}

impl Streams {
    pub(super) fn new(stall: Duration, metrics: Metrics) -> Self {
        Self { stall, metrics, in_flight: Arc::new(watch::Sender::new(0)) }
    }

    /// Waits until no request has been in flight for `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        let mut in_flight = self.in_flight.subscribe();
        loop {
            // The sender is in `self`, so that neither of the two waits can fail.
            let _ = in_flight.wait_for(|many| *many == 0).await;
            tokio::select! {
                () = sleep(limit) => return,
                _ = in_flight.wait_for(|many| *many > 0) => {}
            }
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let handed = Handed::default();
        self.in_flight.send_modify(|many| *many += 1);
        tokio::spawn(Stream {
            stream: HANDED.scope(handed.clone(), stream),
            handed,
            seen: 0,
            clock: None,
            flight: Flight(self.clone()),
        });
    }
}

/// Counts as in flight until it is dropped.
struct Flight(Streams);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|many| *many -= 1);
    }
}

pin_project! {
    /// One request and its answer. Dropped early, it resets the stream and leaves the connection to the others.
    struct Stream<F> {
        #[pin]
        stream: TaskLocalFuture<Handed, F>,
        handed: Handed,
        // What had been handed over when the clock was set.
        seen: u64,
        clock: Option<Pin<Box<Sleep>>>,
        flight: Flight,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let handed = this.handed.0.load(Ordering::Relaxed);
        if handed & WAITS == 0 {
            *this.clock = None;
            return Poll::Pending;
        }
        let streams = &this.flight.0;
        let until = Instant::now() + streams.stall;
        let clock = this.clock.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if std::mem::replace(this.seen, handed) != handed {
            clock.as_mut().reset(until);
        }
        if clock.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        streams.metrics.count(Count::StalledClient);
        Poll::Ready(())
    }
}
