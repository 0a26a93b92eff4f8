//! Threads that serve connections, each with a runtime of its own, and which connection is served by which.

mod load;
mod place;

pub(super) use self::place::Place;

use self::load::Load;
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
/// From then on a connection of HTTP/1.1 goes where the work is best done, between two of its requests: away from a thread that
/// is busy for more than 80 % of its time, to one that has less to do; and to the first thread that can do the work of both, while
/// together they are busy for no more than 40 %. A thread that has little to do sleeps between two calls, and after each sleep finds
/// in the processor's caches what others have left there; one that has the calls of two sleeps half as often. A thread is watched
/// for 50 ms at a time, by the clock that the runtime has for it. Connections of HTTP/2, and answers that last, stay where they began.
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
    threads: Arc<[Worker]>,
    turn: AtomicUsize,
    /// Dropped, it ends the threads.
    _alive: Vec<oneshot::Sender<()>>,
}

struct Worker {
    runtime: Handle,
    connections: AtomicUsize,
    load: Load,
}

impl Workers {
    /// Starts `count` threads, one at least.
    ///
    /// # Errors
    ///
    /// The system has no thread or descriptor left.
    pub fn start(count: usize) -> io::Result<Self> {
        let started = (0..count.max(1)).map(Worker::start).collect::<io::Result<Vec<_>>>()?;
        let (threads, alive): (Vec<_>, _) = started.into_iter().unzip();
        Ok(Self { threads: threads.into(), turn: AtomicUsize::new(0), _alive: alive })
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

    /// The place of the next connection.
    pub(super) fn next(&self) -> Place {
        let room = self.threads.iter().position(|worker| worker.connections.load(Ordering::Relaxed) < FILL);
        let in_turn = || self.turn.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        Place::new(self.threads.clone(), room.unwrap_or_else(in_turn))
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<(Self, oneshot::Sender<()>)> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            let _ = runtime.block_on(gone);
        })?;
        let load = Load::new(&handle);
        Ok((Self { runtime: handle, connections: AtomicUsize::new(0), load }, alive))
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
        let mut places: Vec<_> = (0..FILL + 1).map(|_| workers.next()).collect();
        assert_eq!(counts(&workers), [FILL, 1]);
        places.remove(0);
        places.push(workers.next());
        assert_eq!(counts(&workers), [FILL, 1], "what one leaves is for the next");
        places.extend((0..FILL - 1).map(|_| workers.next()));
        assert_eq!(counts(&workers), [FILL, FILL]);
        places.extend((0..6).map(|_| workers.next()));
        assert_eq!(counts(&workers), [FILL + 3, FILL + 3]);
        drop(places);
        assert_eq!(counts(&workers), [0, 0]);
    }
}
