use super::{
    Worker,
    load::{Share, WINDOW},
};
use std::{
    mem,
    sync::{Arc, atomic::Ordering},
};
use tokio::{runtime::Handle, time::Instant};

/// Whether the runtime counts how busy a thread is; where it does not, nobody moves.
const IS_COUNTED: bool = cfg!(target_has_atomic = "64");

/// The place of a connection among the threads.
pub(in super::super) struct Place {
    threads: Arc<[Worker]>,
    at: usize,
    /// When it looks next whether it is better off elsewhere.
    look: Instant,
    /// Whether there was little to do here when it looked last. One look may be at what was before a burst.
    was_quiet: bool,
}

impl Place {
    pub(super) fn new(threads: Arc<[Worker]>, at: usize) -> Self {
        threads[at].connections.fetch_add(1, Ordering::Relaxed);
        Self { threads, at, look: Instant::now() + WINDOW, was_quiet: false }
    }

    pub(in super::super) fn runtime(&self) -> &Handle {
        &self.threads[self.at].runtime
    }

    /// Goes, between two requests, where the connection is served better from now on; `None` where that is here.
    pub(in super::super) fn moves(&mut self, now: Instant) -> Option<Handle> {
        if now < self.look {
            return None;
        }
        self.look = now + WINDOW;
        let to = self.elsewhere(now)?;
        self.go(to);
        Some(self.runtime().clone())
    }

    #[cold]
    fn elsewhere(&mut self, now: Instant) -> Option<usize> {
        if !IS_COUNTED || self.threads.len() == 1 {
            return None;
        }
        let share = self.threads[self.at].load.count(now);
        let was_quiet = mem::replace(&mut self.was_quiet, share.is_quiet());
        let to = if was_quiet && share.is_quiet() {
            self.before(share, now)?
        } else if share.is_busy() {
            self.beside(share, now)?
        } else {
            return None;
        };
        self.threads[self.at].load.add(-share.of_one(), now);
        self.threads[to].load.add(share.of_one(), now);
        Some(to)
    }

    /// The first thread that can do the work of this one too.
    fn before(&self, share: Share, now: Instant) -> Option<usize> {
        let mut before = self.others(now).take_while(|(at, _)| *at < self.at);
        before.find(|(_, other)| share.joins(*other)).map(|(at, _)| at)
    }

    /// The thread that has the least to do, if a connection is better served there than here.
    fn beside(&self, share: Share, now: Instant) -> Option<usize> {
        let least = self.others(now).min_by(|(_, one), (_, other)| one.compare(other));
        least.filter(|(_, other)| share.parts_to(*other)).map(|(at, _)| at)
    }

    /// What the other threads have to do, in the order in which they are filled.
    fn others(&self, now: Instant) -> impl Iterator<Item = (usize, Share)> {
        let others = self.threads.iter().enumerate().filter(|(at, _)| *at != self.at);
        others.map(move |(at, worker)| (at, worker.load.share(now)))
    }

    fn go(&mut self, to: usize) {
        tracing::trace!(from = self.at, to, "a connection goes to another thread");
        self.threads[to].connections.fetch_add(1, Ordering::Relaxed);
        self.threads[self.at].connections.fetch_sub(1, Ordering::Relaxed);
        self.at = to;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.threads[self.at].connections.fetch_sub(1, Ordering::Relaxed);
    }
}
