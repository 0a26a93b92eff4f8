use super::{Quota, error::Exceeded};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// What is left of a [`Quota`], shared by reference.
///
/// Counting takes one atomic exchange: it holds a single point in time, up to which the calls so far have been paid for
/// (the *generic cell rate algorithm*). Nothing has to fill it up, and it allocates nothing.
///
/// ```
/// use tower_mcp_gateway::rate::Bucket;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = Bucket::new("1/h".parse()?);
/// assert!(bucket.take().is_ok());
/// assert_eq!(bucket.take().unwrap_err().to_string(), "more than 1 call per hour");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Bucket {
    quota: Quota,
    start: Instant,
    /// Up to when calls are paid for, in nanoseconds after `start`. 64 bits of them are five centuries.
    paid: AtomicU64,
}

impl Bucket {
    /// A full one.
    pub fn new(quota: Quota) -> Self {
        Self { quota, start: Instant::now(), paid: AtomicU64::new(0) }
    }

    /// What it allows.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes one call out.
    ///
    /// # Errors
    ///
    /// [`Exceeded`], with the time until there is one.
    pub fn take(&self) -> Result<(), Exceeded> {
        let period = nanos(self.quota.period());
        let each = period / u64::from(self.quota.calls());
        let now = nanos(self.start.elapsed());
        let mut wait = 0;
        // `Relaxed` is enough: it is one number, and no other memory depends on it.
        let taken = self.paid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
            let paid = paid.max(now) + each;
            wait = paid.saturating_sub(now + period);
            (wait == 0).then_some(paid)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(_) => Err(Exceeded { quota: self.quota, retry_after: Duration::from_nanos(wait) }),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::time::advance;

    async fn takes(bucket: &Bucket) -> u32 {
        (0..).take_while(|_| bucket.take().is_ok()).count() as u32
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_one_gives_all_at_once_and_then_one_after_the_other() {
        let bucket = Bucket::new("4/s".parse().unwrap());
        assert_eq!(takes(&bucket).await, 4);
        assert_eq!(bucket.take().unwrap_err().retry_after, Duration::from_millis(250));
        advance(Duration::from_millis(249)).await;
        assert_eq!(bucket.take().unwrap_err().retry_after, Duration::from_millis(1));
        advance(Duration::from_millis(1)).await;
        assert_eq!(takes(&bucket).await, 1);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(takes(&bucket).await, 4, "what was not used is not saved up");
    }

    #[test]
    fn many_at_once_get_no_more_than_there_is() {
        let bucket = Bucket::new("500/h".parse().unwrap());
        let taken: usize = std::thread::scope(|scope| {
            let one = || (0..400).filter(|_| bucket.take().is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }

    proptest! {
        /// Whatever the pauses, a whole number of periods lets through what the quota says and one bucket more.
        #[test]
        fn no_pattern_of_calls_gets_more(calls in 1u32..50, pauses in prop::collection::vec(0u64..400, 1..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let bucket = Bucket::new(format!("{calls}/s").parse().unwrap());
                let (start, mut taken) = (Instant::now(), 0);
                for pause in pauses {
                    advance(Duration::from_millis(pause)).await;
                    taken += takes(&bucket).await;
                }
                let most = f64::from(calls) * (1.0 + start.elapsed().as_secs_f64());
                assert!(f64::from(taken) <= most + 0.001, "{taken} of {most}");
            });
        }
    }
}
