use crate::atomic::{AtomicBool, Ordering};
use arc_swap::ArcSwapOption;
use std::{fmt, sync::Arc};

/// A place in which there is hardly ever anything, and where each call looks: that nothing is there costs one read, and of what all
/// threads share no write.
pub(crate) struct Rare<T> {
    /// False only where nothing is there, or is about to be.
    may_be: AtomicBool,
    value: ArcSwapOption<T>,
}

impl<T> Rare<T> {
    /// What is there.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        if self.may_be.load(Ordering::Acquire) { self.value.load_full() } else { None }
    }

    pub(crate) fn set(&self, value: Arc<T>) {
        self.value.store(Some(value));
        self.may_be.store(true, Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        // Said first: who sets another value meanwhile says that it is there after that.
        if self.may_be.load(Ordering::Relaxed) {
            self.may_be.store(false, Ordering::Release);
            self.value.store(None);
        }
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self { may_be: AtomicBool::new(false), value: ArcSwapOption::empty() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rare").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_is_set_is_there_until_it_is_taken_away() {
        let rare = Rare::default();
        assert!(rare.get().is_none());
        rare.set(Arc::new(1));
        assert_eq!(rare.get().as_deref(), Some(&1));
        rare.clear();
        assert!(rare.get().is_none());
        rare.set(Arc::new(2));
        assert_eq!(rare.get().as_deref(), Some(&2));
    }

    #[test]
    fn what_is_set_beside_others_that_clear_is_there_or_was_taken_away() {
        for _ in 0..2000 {
            let rare = Rare::default();
            rare.set(Arc::new(1));
            thread::scope(|scope| {
                scope.spawn(|| rare.clear());
                scope.spawn(|| rare.set(Arc::new(2)));
            });
            assert_eq!(rare.get().is_some(), rare.value.load().is_some(), "nothing is there and cannot be seen");
        }
    }
}
