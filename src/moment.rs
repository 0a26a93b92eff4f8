//! The first moment of calls, for which no timer of their own is set: hardly one takes longer.
//!
//! A timer of tokio's costs more than setting it. It is earlier than any that waits (the others are of calls that have
//! lasted, or of idle connections), and so the runtime wakes itself by a system call to learn of it.

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

/// How long a call goes on before it has a timer, and listens for the cut. Most are over by then, and never touch the one
/// list of listeners that all calls of a gateway, on whatever core, would stand in; those that are not are told this much
/// later, or twice as much.
pub(crate) const MOMENT: Duration = Duration::from_millis(50);
/// Looks at nobody after which nothing looks any more: an idle gateway does not wake, and one that is called now and then
/// does not begin to look at each call.
const LOOKS: u32 = 20;

thread_local! {
    /// The boards of this thread, one for each runtime that it serves; nearly always one.
    static BOARDS: RefCell<Vec<Weak<Board>>> = const { RefCell::new(Vec::new()) };
}

/// The calls that a thread began on one runtime and that have no timer yet, and a task that looks at all of them at once.
///
/// Calls of several gateways may stand on it, which learn nothing of each other.
pub(crate) struct Board {
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// As many as there were calls at once.
    places: Vec<Place>,
    free: Vec<usize>,
    is_watched: bool,
}

struct Place {
    since: Instant,
    /// `None` once the moment is over.
    waker: Option<Waker>,
}

impl Board {
    /// That of this thread and the runtime at hand; `None` outside of one.
    pub(crate) fn at_hand() -> Option<Arc<Self>> {
        let runtime = Handle::try_current().ok()?;
        BOARDS.with_borrow_mut(|boards| {
            let known = boards.iter().filter_map(Weak::upgrade).find(|board| board.runtime.id() == runtime.id());
            Some(known.unwrap_or_else(|| {
                boards.retain(|board| board.strong_count() > 0);
                let board = Arc::new(Self { runtime, state: Mutex::default() });
                boards.push(Arc::downgrade(&board));
                board
            }))
        })
    }

    /// Begins the moment of a call that began at `since`.
    pub(crate) fn begin(self: &Arc<Self>, since: Instant, waker: &Waker) -> Moment {
        let place = Place { since, waker: Some(waker.clone()) };
        let mut state = self.lock();
        let at = match state.free.pop() {
            Some(at) => {
                state.places[at] = place;
                at
            }
            None => {
                state.places.push(place);
                state.places.len() - 1
            }
        };
        let watched = std::mem::replace(&mut state.is_watched, true);
        drop(state);
        if !watched {
            // A runtime that takes no tasks any more drops it, which ends the moment.
            drop(self.runtime.spawn(Rounds(self.clone()).run(since + MOMENT)));
        }
        Moment { board: self.clone(), at }
    }

    /// Ends the moments of calls that are old enough. `None` if there are no calls.
    fn end(&self, is_over: impl Fn(&Place) -> bool) -> Option<Vec<Waker>> {
        let mut state = self.lock();
        if state.free.len() == state.places.len() {
            return None;
        }
        let over = state.places.iter_mut().filter(|place| is_over(place));
        Some(over.filter_map(|place| place.waker.take()).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at a board until it is empty, or the runtime ends.
struct Rounds(Arc<Board>);

impl Rounds {
    async fn run(self, mut next: Instant) {
        let mut empty = 0;
        while empty < LOOKS {
            sleep_until(next).await;
            let now = Instant::now();
            next = now + MOMENT;
            let over = self.0.end(|place| now.duration_since(place.since) >= MOMENT);
            empty = if over.is_none() { empty + 1 } else { 0 };
            over.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl Drop for Rounds {
    /// Also when the runtime ends: whoever is still waiting then is told, and sets a timer where it is polled.
    fn drop(&mut self) {
        self.0.lock().is_watched = false;
        self.0.end(|_| true).into_iter().flatten().for_each(Waker::wake);
    }
}

/// The first moment of one call; dropped, it gives its place back.
pub(crate) struct Moment {
    board: Arc<Board>,
    at: usize,
}

impl Moment {
    /// Ready when the call should have a timer.
    pub(crate) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.board.lock();
        match &mut state.places[self.at].waker {
            None => Poll::Ready(()),
            Some(waker) if waker.will_wake(cx.waker()) => Poll::Pending,
            Some(waker) => {
                let old = std::mem::replace(waker, cx.waker().clone());
                // Unlocked first: it may hold the last reference to a task that owns another moment.
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        let mut state = self.board.lock();
        let waker = state.places[self.at].waker.take();
        state.free.push(self.at);
        drop(state);
        drop(waker);
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Board").field("calls", &(state.places.len() - state.free.len())).finish_non_exhaustive()
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::{runtime::Builder, time::sleep};
    use tokio_test::{assert_pending, assert_ready, task};

    fn board() -> Arc<Board> {
        Board::at_hand().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_for_calls_that_last_and_again_after_all_was_quiet() {
        let board = board();
        for _ in 0..2 {
            let moment = board.begin(Instant::now(), futures_util::task::noop_waker_ref());
            let mut over = task::spawn(poll_fn(|cx| moment.poll_over(cx)));
            assert_pending!(over.poll());
            sleep(MOMENT - Duration::from_millis(2)).await;
            assert!(!over.is_woken());
            assert_pending!(over.poll());
            sleep(MOMENT + Duration::from_millis(4)).await;
            assert!(over.is_woken());
            assert_ready!(over.poll());
            drop(over);
            drop(moment);
            sleep(MOMENT * (LOOKS + 2)).await;
            assert!(!board.lock().is_watched, "an idle board wakes nobody");
        }
    }

    #[tokio::test]
    async fn a_place_is_given_back_and_taken_again() {
        let board = board();
        let begin = || board.begin(Instant::now(), futures_util::task::noop_waker_ref());
        for _ in 0..100 {
            let moments = [(); 3].map(|()| begin());
            assert!(board.lock().free.is_empty());
            drop(moments);
        }
        assert_eq!(board.lock().places.len(), 3);
    }

    #[test]
    fn it_ends_with_its_runtime_and_each_has_a_board_of_its_own() {
        assert!(Board::at_hand().is_none());
        let [one, other] = [(); 2].map(|()| Builder::new_current_thread().enable_time().build().unwrap());
        let boards = [&one, &other, &one].map(|runtime| runtime.block_on(async { board() }));
        assert!(Arc::ptr_eq(&boards[0], &boards[2]) && !Arc::ptr_eq(&boards[0], &boards[1]));
        let moment = boards[0].begin(Instant::now(), futures_util::task::noop_waker_ref());
        let mut over = task::spawn(poll_fn(|cx| moment.poll_over(cx)));
        assert_pending!(over.poll());
        drop(one);
        assert!(over.is_woken());
        assert_ready!(over.poll());
        // Nor does one begin on a runtime that is gone.
        let late = boards[0].begin(Instant::now(), futures_util::task::noop_waker_ref());
        assert_ready!(task::spawn(poll_fn(|cx| late.poll_over(cx))).poll());
    }
}
