use super::Turn;
use crate::{
    Call,
    atomic::{AtomicUsize, Mutex, MutexGuard, Ordering, fence},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    task::Waker,
};

/// The queue of the calls that found every endpoint of a pool full; clones are the same.
///
/// The end of each call is told to the one that has waited for the longest. Who comes while others wait is to stand behind
/// them, or the places would go to whoever is quickest, and some would wait in vain.
///
/// ```
/// use tower_mcp_gateway::balance::Vacancy;
///
/// # tokio_test::block_on(async {
/// let vacancy = Vacancy::default();
/// let turn = vacancy.queue();
/// assert!(vacancy.is_awaited());
/// let ended = async { vacancy.tell() };
/// tokio::join!(turn.comes(), ended);
/// drop(turn);
/// assert!(!vacancy.is_awaited());
/// # });
/// ```
///
/// What a call is told may be old by the time it looks; then it stands in the queue [again](Turn::again).
#[derive(Clone, Debug, Default)]
pub struct Vacancy(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// As many as wait or are on the way to a place: read as each call begins and ends, and written only while a pool is full.
    waiting: AtomicUsize,
    /// Of the pool.
    members: AtomicUsize,
    queue: Mutex<Queue>,
}

impl Vacancy {
    /// Joins the queue.
    pub fn queue(&self) -> Turn {
        Turn::new(self.clone())
    }

    /// Whether anybody waits, or was told and has not looked yet.
    pub fn is_awaited(&self) -> bool {
        self.0.waiting.load(Ordering::Acquire) > 0
    }

    /// Tells the first that there may be room.
    pub fn tell(&self) {
        // Between the end of a call and the look at the queue, as in `change` between an entry and the next look at the
        // pool: at least one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.is_awaited()
            && let Some(first) = self.change(Queue::tell)
        {
            first.wake();
        }
    }

    /// Whether a call can use a place of any endpoint, so that it matters to it where one becomes free. A call that cannot
    /// must not stand in the queue: those behind it would wait for what they need not.
    pub fn is_for(&self, call: &Call) -> bool {
        let members = self.0.members.load(Ordering::Relaxed);
        let able = call.providers.as_ref().map_or(members, |providers| providers.endpoints().len());
        members <= 1 || (call.pin.is_none() && able >= members)
    }

    /// Whether what becomes free is for others than this call.
    pub(super) fn is_before(&self, call: &Call) -> bool {
        self.is_awaited() && Turn::of(call).is_none() && self.is_for(call)
    }

    /// Tells all that the pool is another, and has so many members.
    pub(super) fn resize(&self, members: usize) {
        self.0.members.store(members, Ordering::Relaxed);
        if self.is_awaited() {
            self.change(Queue::tell_all).into_iter().for_each(Waker::wake);
        }
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.lock();
        let changed = change(&mut queue);
        self.0.waiting.store(queue.len(), Ordering::Release);
        drop(queue);
        fence(Ordering::SeqCst);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits, by numbers that grow; as many as calls are in flight at most.
#[derive(Debug, Default)]
pub(super) struct Queue {
    next: u64,
    /// With whom to wake.
    waiting: BTreeMap<u64, Waker>,
    /// Who was told and has not found a place yet. What it cannot use goes to another that came before this number: so what
    /// is told once is heard by each at most once.
    told: BTreeMap<u64, u64>,
    /// Ends of calls that nobody was there to hear but those who were told already. They are for whoever joins next.
    untold: usize,
    /// Who found the queue empty, until it has looked. An end that came before it may have been told to nobody.
    opener: Option<u64>,
}

impl Queue {
    fn len(&self) -> usize {
        self.waiting.len() + self.told.len()
    }

    /// The number of one that joins.
    pub(super) fn join(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.len() == 0 {
            self.opener = Some(number);
        }
        match self.untold.checked_sub(1) {
            Some(untold) => {
                self.untold = untold;
                self.told.insert(number, self.next);
            }
            None => drop(self.waiting.insert(number, Waker::noop().clone())),
        }
        number
    }

    /// Whether it found the queue empty.
    pub(super) fn is_opener(&self, number: u64) -> bool {
        self.opener == Some(number)
    }

    /// Whether it is the first, and nobody is on the way to a place.
    pub(super) fn is_first(&self, number: u64) -> bool {
        self.told.is_empty() && self.waiting.first_key_value().is_some_and(|(&first, _)| first == number)
    }

    /// Whether it still waits; `waker` is woken once it does not.
    pub(super) fn waits(&mut self, number: u64, waker: &Waker) -> bool {
        let waits = self.waiting.get_mut(&number);
        waits.map(|known| known.clone_from(waker)).is_some()
    }

    /// After a look that found no room: has one stand at the end that was told, and has `heard` it, or that had found a place and
    /// lost it. Its number then, and who is to be woken because of that.
    pub(super) fn again(&mut self, number: u64, heard: bool) -> Option<(u64, Option<Waker>)> {
        self.opener.take_if(|opener| *opener == number);
        if self.waiting.contains_key(&number) || (!heard && self.told.contains_key(&number)) {
            return None;
        }
        let before = self.told.remove(&number);
        self.settle();
        Some((self.join(), before.and_then(|before| self.tell_before(before))))
    }

    /// Takes out one that has found a place; who is to be woken because of that. Where it may have found one that it was not
    /// told of there may be more, so that the others are to look, too.
    pub(super) fn end(&mut self, number: u64) -> Vec<Waker> {
        let was_untold = self.waiting.remove(&number).is_some();
        self.told.remove(&number);
        let others = if was_untold || self.is_opener(number) { self.tell_all() } else { Vec::new() };
        self.settle();
        others
    }

    /// Takes out one that waits no more; who is to be woken because of that.
    pub(super) fn leave(&mut self, number: u64) -> Vec<Waker> {
        self.waiting.remove(&number);
        let before = self.told.remove(&number);
        let others = match before {
            _ if self.is_opener(number) => self.tell_all(),
            Some(before) => self.tell_before(before).into_iter().collect(),
            None => Vec::new(),
        };
        self.settle();
        others
    }

    fn tell(&mut self) -> Option<Waker> {
        let told = self.tell_before(self.next);
        self.untold += usize::from(told.is_none());
        self.settle();
        told
    }

    fn tell_before(&mut self, before: u64) -> Option<Waker> {
        let first = self.waiting.first_entry().filter(|first| *first.key() < before)?;
        let (number, waker) = first.remove_entry();
        self.told.insert(number, before);
        Some(waker)
    }

    fn tell_all(&mut self) -> Vec<Waker> {
        self.opener = None;
        let waiting = std::mem::take(&mut self.waiting);
        // Each learns of it by itself, so there is nothing to be passed on.
        self.told.extend(waiting.keys().map(|&number| (number, 0)));
        waiting.into_values().collect()
    }

    /// Who comes to an empty queue looks for itself.
    fn settle(&mut self) {
        if self.len() == 0 {
            (self.untold, self.opener) = (0, None);
        }
    }
}

#[cfg(all(test, not(interleave)))]
mod tests {
    use super::*;
    use tokio_test::{assert_pending, assert_ready, task};

    #[test]
    fn one_that_is_refused_after_it_had_found_a_place_waits_anew() {
        let vacancy = Vacancy::default();
        let turn = vacancy.queue();
        vacancy.tell();
        assert_ready!(task::spawn(turn.comes()).poll());
        turn.end();
        assert!(!vacancy.is_awaited());
        assert!(turn.again(), "or it would look again and again, and never sleep");
        assert_pending!(task::spawn(turn.comes()).poll());
        vacancy.tell();
        assert_ready!(task::spawn(turn.comes()).poll());
    }
}

#[cfg(all(test, interleave))]
mod interleaved {
    use super::*;
    use loom::{future::block_on, model, thread};

    /// So many calls end, one after the other.
    fn ends(calls: usize, vacancy: &Vacancy, free: &Arc<AtomicUsize>) -> thread::JoinHandle<()> {
        let (vacancy, free) = (vacancy.clone(), free.clone());
        thread::spawn(move || {
            for _ in 0..calls {
                free.fetch_add(1, Ordering::Relaxed);
                vacancy.tell();
            }
        })
    }

    #[test]
    fn whoever_joins_finds_what_becomes_free_or_is_told() {
        model(|| {
            let (vacancy, free) = (Vacancy::default(), Arc::new(AtomicUsize::new(0)));
            let end = ends(1, &vacancy, &free);
            let turn = vacancy.queue();
            if !(turn.is_opener() && free.load(Ordering::Relaxed) > 0) {
                block_on(turn.comes());
            }
            end.join().unwrap();
            assert_eq!(free.load(Ordering::Relaxed), 1);
        });
    }

    /// A call that takes a place as soon as there is one.
    fn begin(vacancy: &Vacancy, free: &AtomicUsize) {
        let take = || free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1)).is_ok();
        if take() {
            return;
        }
        let (turn, mut joined) = (vacancy.queue(), true);
        loop {
            if !(joined && turn.is_opener()) {
                block_on(turn.comes());
            }
            if take() {
                return turn.end();
            }
            joined = turn.again();
        }
    }

    #[test]
    fn as_many_begin_as_there_are_places() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let (vacancy, free) = (Vacancy::default(), Arc::new(AtomicUsize::new(0)));
            let (one, place) = (vacancy.clone(), free.clone());
            let one = thread::spawn(move || begin(&one, &place));
            let end = ends(2, &vacancy, &free);
            begin(&vacancy, &free);
            one.join().unwrap();
            end.join().unwrap();
            assert!(!vacancy.is_awaited());
        });
    }
}
