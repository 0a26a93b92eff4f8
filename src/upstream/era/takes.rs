use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// How long all clients share what a server gave out for one `initialize` after it refused another. It may take no more
/// than one, or be full for the moment, which nothing tells apart: so it is asked again, but not by every call.
pub(super) const SHARED_FOR: Duration = Duration::from_secs(600);

/// How often a server takes `initialize`, as far as is known. Found out anew with each session of the gateway's own, which
/// begins when the server did.
#[derive(Debug)]
pub(super) struct Takes {
    begun: Instant,
    several: AtomicBool,
    /// Until so many milliseconds after `begun` it is held to take no more than one; 0 if it never was.
    once_until: AtomicU64,
}

impl Takes {
    /// Whether it has taken more than one.
    pub(super) fn several(&self) -> bool {
        self.several.load(Relaxed)
    }

    /// Whether no other is tried at present.
    pub(super) fn but_once(&self) -> bool {
        let until = self.once_until.load(Relaxed);
        until > 0 && !self.several() && self.begun.elapsed() < Duration::from_millis(until)
    }

    /// It took another.
    pub(super) fn took_another(&self) {
        self.several.store(true, Relaxed);
    }

    /// It refused one that says nothing but what it took before; whether that is news.
    pub(super) fn refused_another(&self) -> bool {
        let until = (self.begun.elapsed() + SHARED_FOR).as_millis() as u64;
        self.once_until.swap(until, Relaxed) == 0
    }
}

impl Default for Takes {
    fn default() -> Self {
        Self { begun: Instant::now(), several: AtomicBool::new(false), once_until: AtomicU64::new(0) }
    }
}
