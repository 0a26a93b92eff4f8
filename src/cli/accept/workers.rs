use std::{
    fmt, io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// Threads that each run a runtime of their own.
///
/// All that happens to a connection happens on one thread, its calls to servers included, as long as nothing in a call
/// is spawned elsewhere: an answer wakes the thread it belongs to and no other, and no queue is shared. Long
/// computations delay the other connections of the thread.
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

    /// The runtime whose turn it is.
    pub(super) fn next(&self) -> &Handle {
        &self.threads[self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len()].runtime
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
        Ok(Self { runtime: handle, _alive: alive })
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
