use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// How many connections a thread has before another gets its first.
///
/// A client that does nothing but call waits for answers most of the time: so many of them keep one thread busy, and hardly
/// more. Spread over several threads, each thread would sleep between two calls, and what it costs to wake one is a good part
/// of what a call costs.
const FILL: usize = 4;

/// Threads that each run a runtime of their own.
///
/// All that happens to a connection happens on one thread, its calls to servers included, as long as nothing in a call
/// is spawned elsewhere: an answer wakes the thread it belongs to and no other, and no queue is shared. Long
/// computations delay the other connections of the thread.
///
/// A new connection goes to the first thread that has fewer than four, or else to each in turn: by the fewest, a thread that
/// has noticed sooner than the others that its clients are gone would get all that come back.
///
/// Dropping it ends the threads, and with them what still runs there.
///
/// ```
/// use std::{convert::Infallible, sync::Arc};
/// use http::{Request, Response};
/// use tower_mcp_gateway::cli::accept::{Accept, Workers};
///
/// # tokio_test::block_on(async {
/// let service = tower::service_fn(|_: Request<_>| async { Ok::<_, Infallible>(Response::new(String::from("hello"))) });
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let workers = Workers::start(2)?;
/// Accept::new(listener).workers(Arc::new(workers)).serve(service, async {}).await;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct Workers {
    /// Never empty.
    threads: Vec<Worker>,
    turn: AtomicUsize,
}

struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _alive: oneshot::Sender<()>,
}

impl Workers {
    /// Starts `count` threads, one at least.
    ///
    /// # Errors
    ///
    /// The system has no thread or descriptor left.
    pub fn start(count: usize) -> io::Result<Self> {
        let threads = (0..count.max(1)).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { threads, turn: AtomicUsize::new(0) })
    }

    /// As many as there are processors.
    ///
    /// # Errors
    ///
    /// As [`Workers::start`].
    pub fn per_core() -> io::Result<Self> {
        Self::start(thread::available_parallelism().map_or(1, usize::from))
    }

    /// Their runtimes, for what should be served where clients are. They end with the threads.
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.threads.iter().map(|worker| &worker.runtime)
    }

    /// Where the next connection belongs, and the place that it has there as long as it lives.
    pub(super) fn next(&self) -> (&Handle, Place) {
        let room = self.threads.iter().find(|worker| worker.connections.load(Ordering::Relaxed) < FILL);
        let in_turn = || &self.threads[self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len()];
        let worker = room.unwrap_or_else(in_turn);
        (&worker.runtime, Place::new(worker.connections.clone()))
    }
}

/// One of the connections of a thread.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    fn new(connections: Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(connections)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let _ = runtime.block_on(gone);
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _alive: alive })
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many connections each thread has.
    fn counts(workers: &Workers) -> Vec<usize> {
        workers.threads.iter().map(|worker| worker.connections.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn a_thread_is_filled_before_the_next_has_work_and_then_each_is_next_in_turn() {
        let workers = Workers::start(2).unwrap();
        let mut places: Vec<_> = (0..FILL + 1).map(|_| workers.next().1).collect();
        assert_eq!(counts(&workers), [FILL, 1]);
        places.remove(0);
        places.push(workers.next().1);
        assert_eq!(counts(&workers), [FILL, 1], "what one leaves is for the next");
        places.extend((0..FILL - 1).map(|_| workers.next().1));
        assert_eq!(counts(&workers), [FILL, FILL]);
        places.extend((0..6).map(|_| workers.next().1));
        assert_eq!(counts(&workers), [FILL + 3, FILL + 3]);
        drop(places);
        assert_eq!(counts(&workers), [0, 0]);
    }
}
