use crate::Call;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// What one listener has not been told yet: a mark per URI it listens to, so its size is fixed by its wishes and not by
/// what happens.
#[derive(Debug)]
pub(super) struct Inbox {
    /// A call of whoever listens; `None` where it says too much about itself to be kept.
    client: Option<Call>,
    marks: Mutex<Marks>,
    wake: Notify,
}

#[derive(Debug)]
struct Marks {
    slots: Vec<Slot>,
    /// URIs with an update to be told, each at most once, the one that has waited longest first.
    due: VecDeque<usize>,
    /// Endpoints that have not said yet whether they keep a session for the listener.
    settling: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Whether a server tells of changes; `None` while that is being found out.
    honoured: Option<bool>,
    due: bool,
    /// The arrival at the endpoint that is asked for it now; what others say of it does not count.
    arrival: Option<u64>,
    /// Whether the listener hears of it in a session of its own.
    own: bool,
}

impl Inbox {
    pub(super) fn new(uris: usize, client: Option<Call>) -> Self {
        let marks = Marks { slots: vec![Slot::default(); uris], due: VecDeque::new(), settling: 0 };
        Self { client, marks: Mutex::new(marks), wake: Notify::new() }
    }

    pub(super) fn client(&self) -> Option<&Call> {
        self.client.as_ref()
    }

    /// Says whether the URI is honoured; only the first word counts.
    pub(super) fn decide(&self, place: usize, honoured: bool) {
        self.lock().slots[place].honoured.get_or_insert(honoured);
        self.wake.notify_one();
    }

    /// Notes an update of the URI; one that has not been told yet stands for this one too.
    pub(super) fn mark(&self, place: usize) {
        let mut marks = self.lock();
        if !std::mem::replace(&mut marks.slots[place].due, true) {
            marks.due.push_back(place);
            drop(marks);
            self.wake.notify_one();
        }
    }

    /// The URI is asked for at another endpoint from here on, where this arrival may come to have a session.
    pub(super) fn entrust(&self, place: usize, arrival: Option<u64>) {
        let slot = &mut self.lock().slots[place];
        (slot.arrival, slot.own) = (arrival, false);
    }

    /// Says whether the listener hears of the URI in a session of its own, and then of nobody else; `false` where that
    /// is not for this arrival to say.
    pub(super) fn own(&self, place: usize, arrival: u64, own: bool) -> bool {
        let slot = &mut self.lock().slots[place];
        let counts = slot.arrival == Some(arrival);
        slot.own = if counts { own } else { slot.own };
        counts
    }

    /// Notes an update that everybody is told of.
    pub(super) fn mark_shared(&self, place: usize) {
        let own = self.lock().slots[place].own;
        if !own {
            self.mark(place);
        }
    }

    /// Counts an endpoint that has to say whether it keeps a session for the listener, or has said so.
    pub(super) fn settle(&self, begins: bool) {
        let mut marks = self.lock();
        marks.settling = if begins { marks.settling + 1 } else { marks.settling.saturating_sub(1) };
        drop(marks);
        self.wake.notify_one();
    }

    /// Completes once every URI is decided, in sessions of the listener's own as well.
    pub(super) async fn decided(&self) {
        while self.is_undecided() {
            self.wake.notified().await;
        }
    }

    fn is_undecided(&self) -> bool {
        let marks = self.lock();
        marks.settling > 0 || marks.slots.iter().any(|slot| slot.honoured.is_none())
    }

    /// Which URIs are honoured; those that are not decided by now are not.
    pub(super) fn close(&self) -> Vec<bool> {
        let mut marks = self.lock();
        let honoured: Vec<bool> = marks.slots.iter_mut().map(|slot| *slot.honoured.get_or_insert(false)).collect();
        marks.due.retain(|place| honoured[*place]);
        honoured
    }

    /// Takes the next update, when there is one. Dropping the future loses nothing.
    pub(super) async fn next(&self) -> usize {
        loop {
            {
                let mut marks = self.lock();
                if let Some(place) = marks.due.pop_front() {
                    marks.slots[place].due = false;
                    return place;
                }
            }
            self.wake.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
