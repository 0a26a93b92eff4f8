use super::{Lapse, error::Elapsed};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// When a call must have been heard of and when it must be over.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    idle: Duration,
    total: Duration,
    started: Instant,
    heard: Instant,
    lapse: Lapse,
}

impl Terms {
    pub(super) fn new(idle: Duration, total: Duration, lapse: Lapse) -> Self {
        let now = Instant::now();
        Self { idle, total, started: now, heard: now, lapse }
    }

    /// The next deadline, and the duration it stands for.
    fn next(&self) -> (Instant, Duration) {
        // Durations too large to add are no deadline anyone waits for.
        const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
        let silence = self.heard + self.idle.min(FAR);
        let end = self.started + self.total.min(FAR);
        if end < silence { (end, self.total) } else { (silence, self.idle) }
    }

    /// A server that told something within the longest silence is alive: its call just took too long.
    fn is_silence(&self, now: Instant) -> bool {
        self.heard == self.started || now.duration_since(self.heard) >= self.idle
    }
}

pin_project! {
    /// One timer for both deadlines. Being heard of only notes the time: the timer is moved when it fires too early, so
    /// a stream of many events does not touch the runtime's timers for each.
    #[derive(Debug)]
    pub(super) struct Watch {
        terms: Terms,
        #[pin]
        sleep: Sleep,
    }
}

impl Watch {
    pub(super) fn new(terms: Terms) -> Self {
        let sleep = sleep_until(terms.next().0);
        Self { terms, sleep }
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(super) fn heard(self: Pin<&mut Self>) {
        self.project().terms.heard = Instant::now();
    }

    pub(super) fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let mut this = self.project();
        loop {
            ready!(this.sleep.as_mut().poll(cx));
            let (deadline, allowed) = this.terms.next();
            let now = Instant::now();
            if now >= deadline {
                if this.terms.is_silence(now) {
                    this.terms.lapse.set();
                }
                return Poll::Ready(Elapsed(allowed));
            }
            this.sleep.as_mut().reset(deadline);
        }
    }
}
