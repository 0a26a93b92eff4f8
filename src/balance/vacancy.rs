use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Where a call waits that found every endpoint of its pool full, for another to end; clones are the same.
///
/// ```
/// use tower_mcp_gateway::balance::Vacancy;
///
/// # tokio_test::block_on(async {
/// let vacancy = Vacancy::default();
/// let waiting = vacancy.freed();
/// let ended = async { vacancy.tell() };
/// tokio::join!(waiting, ended);
/// # });
/// ```
///
/// It is told of the first call that ends from then on, and those that wait are told in the order in which they came. What
/// it is told may be old by the time it looks: another call can have taken the place.
#[derive(Clone, Debug, Default)]
pub struct Vacancy(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Read as each call ends, and written only while a pool is full.
    waiting: AtomicUsize,
    freed: Notify,
}

impl Vacancy {
    /// Waits for the end of a call.
    pub async fn freed(&self) {
        let _waiting = Waiting::new(&self.0.waiting);
        self.0.freed.notified().await;
    }

    /// Tells one of those that wait.
    pub fn tell(&self) {
        if self.0.waiting.load(Ordering::Acquire) > 0 {
            self.0.freed.notify_one();
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
