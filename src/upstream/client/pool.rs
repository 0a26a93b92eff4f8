use super::{connection::Connection, head::Framing};
use crate::clock;
use ahash::RandomState;
use std::{
    array, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use tokio::{
    runtime::{Handle, Id},
    sync::Notify,
    task::coop,
    time::Instant,
};

/// How long an idle connection is kept. The servers people run close theirs after 5 s; a request that meets such a
/// closing connection cannot be told from one that was executed, so ours goes first.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections kept by one part of a pool: what a burst leaves behind beyond them is closed.
const MAX_IDLE: usize = 128;

/// Parts of a pool: enough that the threads of a program that runs one runtime each seldom meet in one.
const SHARDS: usize = 16;

/// Spreads runtimes over the parts of a pool. Nobody chooses their ids, so it need not be secret.
const SPREAD: RandomState = RandomState::with_seeds(1, 2, 3, 4);

/// The idle connections of one server, the latest used first.
///
/// A connection is used again by the runtime that opened it alone, whose thread is the one it wakes: on another's, each
/// answer would cross from thread to thread.
#[derive(Debug)]
pub(super) struct Pool([Arc<Shard>; SHARDS]);

#[derive(Debug)]
struct Shard {
    state: Mutex<State>,
    stirred: Arc<Stirred>,
    /// Wakes whoever waits for `stirred`; idle connections carry it.
    waker: Waker,
}

/// Something came on an idle connection: most likely its end.
#[derive(Debug, Default)]
struct Stirred {
    /// Since all were looked at: until then those that were found free are free, and nobody asks their sockets again.
    since: AtomicBool,
    told: Notify,
}

impl Wake for Stirred {
    fn wake(self: Arc<Self>) {
        self.since.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Idle>,
    /// Whether somebody closes what stays idle.
    reaped: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    home: Id,
    /// What is still to come of the last answer, and is of no interest.
    rest: Framing,
    since: Instant,
    /// Whether it was found free when it was looked at last.
    is_free: bool,
}

enum Fate {
    Free,
    /// The last answer has not ended yet.
    Busy,
    Dead,
}

impl Default for Pool {
    fn default() -> Self {
        Self(array::from_fn(|_| Arc::default()))
    }
}

impl Default for Shard {
    fn default() -> Self {
        let stirred = Arc::<Stirred>::default();
        Self { state: Mutex::default(), waker: stirred.clone().into(), stirred }
    }
}

impl Pool {
    /// A connection on which nothing has come since its last answer.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        // A task that has used up its turn is not told what came on a socket: to it, one that was closed is free.
        if !coop::has_budget_remaining() {
            return None;
        }
        let home = Handle::try_current().ok()?.id();
        self.shard(home).take(home)
    }

    /// Keeps a connection for the next request, once `rest` of the last answer has come.
    pub(super) fn put(&self, connection: Box<Connection>, rest: Framing) {
        // Without a runtime nobody would close it in time.
        let Ok(runtime) = Handle::try_current() else { return };
        let idle = Idle { connection, home: runtime.id(), rest, since: clock::now(), is_free: false };
        self.shard(idle.home).put(idle, &runtime);
    }

    fn shard(&self, home: Id) -> &Arc<Shard> {
        &self.0[SPREAD.hash_one(home) as usize % SHARDS]
    }
}

impl Shard {
    fn take(&self, home: Id) -> Option<Box<Connection>> {
        let (mut dead, now) = (Vec::new(), clock::now());
        let mut state = self.state();
        let mut at = state.idle.len();
        let is_quiet = !self.stirred.since.load(Ordering::Acquire);
        while at > 0 {
            at -= 1;
            let idle = &mut state.idle[at];
            let is_known = is_quiet && idle.is_free && !idle.is_old(now);
            let fate = if is_known { Fate::Free } else { idle.look(now, &self.waker) };
            match fate {
                // Each that was found dead has taken some of the turn.
                Fate::Free if idle.home == home && !coop::has_budget_remaining() => return None,
                Fate::Free if idle.home == home => return Some(state.idle.remove(at).connection),
                Fate::Free | Fate::Busy => {}
                // Closed when the lock is free again.
                Fate::Dead => dead.push(state.idle.remove(at)),
            }
        }
        None
    }

    fn put(self: &Arc<Self>, mut idle: Idle, runtime: &Handle) {
        if let Fate::Dead = idle.look(idle.since, &self.waker) {
            return;
        }
        let mut state = self.state();
        let surplus = (state.idle.len() >= MAX_IDLE).then(|| state.idle.remove(0));
        state.idle.push(idle);
        let reaped = mem::replace(&mut state.reaped, true);
        drop(state);
        drop(surplus);
        if !reaped {
            self.reap(runtime);
        }
    }

    /// Closes connections that stay idle or that the server closes, for as long as there are any.
    #[cold]
    fn reap(self: &Arc<Self>, runtime: &Handle) {
        let (mut reaper, stirred) = (Reaper(Arc::downgrade(self)), self.stirred.clone());
        runtime.spawn(async move {
            loop {
                let _ = tokio::time::timeout(IDLE / 2, stirred.told.notified()).await;
                if reaper.0.upgrade().is_none_or(|shard| shard.sweep()) {
                    // Said already, and perhaps taken back since.
                    drop(mem::take(&mut reaper.0));
                    return;
                }
            }
        });
    }

    /// Closes what has been idle for long, or was closed by the server; `true` if nothing is left.
    fn sweep(&self) -> bool {
        let (mut state, now) = (self.state(), Instant::now());
        self.stirred.since.store(false, Ordering::Relaxed);
        let is_dead = |idle: &mut Idle| matches!(idle.look(now, &self.waker), Fate::Dead);
        let dead: Vec<Idle> = state.idle.extract_if(.., is_dead).collect();
        let empty = state.idle.is_empty();
        state.reaped = !empty;
        drop(state);
        drop(dead);
        empty
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`Shard::reap`] runs for; where its runtime ends first, another is begun with the next connection.
struct Reaper(Weak<Shard>);

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some(shard) = self.0.upgrade() {
            shard.state().reaped = false;
        }
    }
}

impl Idle {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= IDLE
    }

    /// What can be done with the connection `now`; `waker` is woken when that may change.
    fn look(&mut self, now: Instant, waker: &Waker) -> Fate {
        let fate = self.fate(now, waker);
        self.is_free = matches!(fate, Fate::Free);
        fate
    }

    fn fate(&mut self, now: Instant, waker: &Waker) -> Fate {
        let cx = &mut Context::from_waker(waker);
        if self.is_old(now) {
            return Fate::Dead;
        }
        while !self.rest.is_over() {
            match self.rest.take(&mut self.connection) {
                Ok(Some(_)) => {}
                Ok(None) if self.rest.is_over() => {}
                Ok(None) => match self.connection.poll_fill(cx) {
                    Poll::Pending => return Fate::Busy,
                    Poll::Ready(Ok(more)) if more > 0 => {}
                    Poll::Ready(_) => return Fate::Dead,
                },
                Err(_) => return Fate::Dead,
            }
        }
        if self.connection.poll_stray(cx).is_pending() { Fate::Free } else { Fate::Dead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::client::stream::Stream;
    use std::{future::poll_fn, task::ready};
    use tokio::net::{TcpListener, TcpStream};

    async fn pair(listener: &TcpListener) -> (Box<Connection>, TcpStream) {
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Box::new(Connection::new(Stream::Plain(ours.unwrap()))), theirs.unwrap().0)
    }

    /// Spends all of the task's turn but one step.
    fn spend(cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let step = ready!(coop::poll_proceed(cx));
            if !coop::has_budget_remaining() {
                // Dropped, it is given back.
                return Poll::Ready(());
            }
            step.made_progress();
        }
    }

    #[tokio::test]
    async fn one_that_was_free_and_is_closed_meanwhile_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = Pool::default();
        let ((open, _theirs), (closed, theirs)) = (pair(&listener).await, pair(&listener).await);
        pool.put(open, Framing::NOTHING);
        pool.put(closed, Framing::NOTHING);
        let shard = pool.shard(Handle::current().id());
        assert!(shard.state().idle.iter().all(|idle| idle.is_free));
        drop(theirs);
        while shard.state().idle.len() == 2 && !shard.stirred.since.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert!(
            pool.take().is_some_and(|mut open| open.poll_stray(&mut Context::from_waker(Waker::noop())).is_pending())
        );
        assert!(pool.take().is_none());
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_taken_for_a_free_one_where_the_turn_ends_on_the_way_to_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (pool, home) = (Pool::default(), Handle::current().id());
        let (open, _theirs) = pair(&listener).await;
        let mut connections = vec![open];
        for _ in 0..2 {
            let (mut closed, theirs) = pair(&listener).await;
            drop(theirs);
            poll_fn(|cx| closed.poll_stray(cx)).await;
            connections.push(closed);
        }
        let since = Instant::now();
        let idle = connections.into_iter().map(|connection| Idle {
            connection,
            home,
            rest: Framing::NOTHING,
            since,
            is_free: false,
        });
        pool.shard(home).state().idle.extend(idle);

        let taken = poll_fn(|cx| spend(cx).map(|()| pool.take())).await;
        assert!(taken.is_none(), "the second that is closed");
        tokio::task::yield_now().await;
        let mut taken = pool.take().expect("the one that is open");
        assert!(taken.poll_stray(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}
