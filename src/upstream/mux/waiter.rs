use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};
use tokio::runtime::{Handle, Id};

/// Runtimes that calls come from, beside that of the channel: one for each processor of a large machine. Callers of any
/// more are woken one by one.
const MAX_RELAYS: usize = 256;

/// Who is woken when something arrives for a call.
pub(super) struct Waiter {
    waker: Waker,
    relay: Option<Arc<Relay>>,
}

impl Waiter {
    pub(super) fn new(waker: &Waker, relay: Option<&Arc<Relay>>) -> Self {
        Self { waker: waker.clone(), relay: relay.cloned() }
    }

    pub(super) fn is(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }

    pub(super) fn wake(self) {
        match self.relay {
            Some(relay) => relay.wake(self.waker),
            None => self.waker.wake(),
        }
    }
}

/// Wakes tasks of another runtime together.
///
/// Each task that is woken from outside of its runtime costs a system call. Here the first wakes a task over there, which
/// wakes all that have come until it runs.
#[derive(Default)]
pub(super) struct Relay(Mutex<State>);

#[derive(Default)]
struct State {
    /// Each is taken from a slot, so that they are no more than calls.
    waiting: Vec<Waker>,
    /// The task over there, while it waits.
    task: Option<Waker>,
    closed: bool,
}

impl Relay {
    fn wake(&self, waker: Waker) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return waker.wake();
        }
        state.waiting.push(waker);
        let task = state.task.take();
        drop(state);
        task.into_iter().for_each(Waker::wake);
    }

    /// What the task does over there until the relay is closed; dropped, it has each waker woken from where it is woken.
    pub(super) fn run(self: Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let open = Open(self);
        let mut wakers = Vec::new();
        async move {
            poll_fn(|cx| {
                let mut state = open.0.lock();
                if state.closed {
                    return Poll::Ready(());
                }
                std::mem::swap(&mut state.waiting, &mut wakers);
                if !state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                    state.task = Some(cx.waker().clone());
                }
                drop(state);
                wakers.drain(..).for_each(Waker::wake);
                Poll::Pending
            })
            .await
        }
    }

    /// Ends the task.
    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let task = state.task.take();
        drop(state);
        task.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the task.
struct Open(Arc<Relay>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let (waiting, task) = (std::mem::take(&mut state.waiting), state.task.take());
        drop(state);
        drop(task);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The relays to the runtimes that calls come from.
#[derive(Default)]
pub(super) struct Relays {
    /// Where the channel is read; where that is not known, each waker is woken by itself.
    home: Option<Id>,
    all: Vec<(Id, Arc<Relay>)>,
}

impl Relays {
    /// The channel is read by a task of the runtime at hand from now on.
    pub(super) fn read_here(&mut self) {
        self.home = Handle::try_current().ok().map(|runtime| runtime.id());
    }

    /// The relay to the runtime at hand, and where its task must be begun if it is new; `None` where none is needed.
    pub(super) fn here(&mut self) -> Option<(Arc<Relay>, Option<Handle>)> {
        let home = self.home?;
        let runtime = Handle::try_current().ok()?;
        let id = runtime.id();
        if id == home {
            return None;
        }
        if let Some((_, relay)) = self.all.iter().find(|(known, _)| *known == id) {
            return Some((relay.clone(), None));
        }
        // Those of runtimes that are gone.
        self.all.retain(|(_, relay)| !relay.lock().closed);
        if self.all.len() >= MAX_RELAYS {
            return None;
        }
        let relay = Arc::<Relay>::default();
        self.all.push((id, relay.clone()));
        Some((relay, Some(runtime)))
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.all.iter().for_each(|(_, relay)| relay.close());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::pending;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn many_are_woken_by_one_wake_and_none_is_lost() {
        let relay = Arc::<Relay>::default();
        let mut over_there = task::spawn(relay.clone().run());
        let sleepers = || [(); 3].map(|()| task::spawn(pending::<()>()));
        for _ in 0..3 {
            let mut sleepers = sleepers();
            sleepers[0].enter(|cx, _| Waiter::new(cx.waker(), Some(&relay)).wake());
            assert_pending!(over_there.poll());
            assert!(sleepers[0].is_woken(), "also what came before it ran");
            for sleeper in &mut sleepers[1..] {
                sleeper.enter(|cx, _| Waiter::new(cx.waker(), Some(&relay)).wake());
                assert!(over_there.is_woken() && !sleeper.is_woken());
            }
            assert_pending!(over_there.poll());
            assert!(!over_there.is_woken() && sleepers.iter().all(|sleeper| sleeper.is_woken()));
        }
        let [mut early, mut late, _] = sleepers();
        early.enter(|cx, _| Waiter::new(cx.waker(), Some(&relay)).wake());
        drop(over_there);
        assert!(early.is_woken(), "its runtime ended");
        late.enter(|cx, _| Waiter::new(cx.waker(), Some(&relay)).wake());
        assert!(late.is_woken());
    }

    #[test]
    fn each_runtime_but_that_of_the_channel_has_one_whose_task_ends_with_the_channel() {
        let [home, other] = [(); 2].map(|()| tokio::runtime::Builder::new_current_thread().build().unwrap());
        let mut relays = Relays::default();
        let mut here = |on: &tokio::runtime::Runtime| on.block_on(async { relays.here() });
        assert!(here(&other).is_none(), "nobody knows where it is read");
        home.block_on(async { relays.read_here() });
        let mut here = |on: &tokio::runtime::Runtime| on.block_on(async { relays.here() });
        assert!(here(&home).is_none());
        let (relay, begun) = here(&other).unwrap();
        let (again, begun_again) = here(&other).unwrap();
        assert!(Arc::ptr_eq(&relay, &again) && begun.is_some() && begun_again.is_none());
        assert!(relays.here().is_none(), "outside of any runtime");
        let mut over_there = task::spawn(relay.run());
        assert_pending!(over_there.poll());
        drop(relays);
        assert!(over_there.is_woken());
        assert_ready!(over_there.poll());
    }
}
