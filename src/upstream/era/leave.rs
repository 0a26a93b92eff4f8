use super::{lane::Lane, lanes::Lanes};
use crate::upstream::{Hop, Transport};
use std::sync::{Arc, Weak};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// Ends the sessions at a server with the last who could use them: nobody else knows them, and a server keeps only so many.
pub(super) struct Leave {
    end: Box<dyn Fn(&Hop) + Send + Sync>,
    /// Weak, because who uses a lane is seen by its references.
    common: Weak<Lane>,
    lanes: Arc<Lanes<Lane>>,
    /// Whoever waits for the end of a server waits for this too.
    _token: TaskTrackerToken,
}

impl Leave {
    pub(super) fn new<T: Transport>(
        transport: T,
        (common, lanes): (&Arc<Lane>, &Arc<Lanes<Lane>>),
        tasks: &TaskTracker,
    ) -> Self {
        let end = Box::new(move |hop: &Hop| transport.end_session(hop));
        Self { end, common: Arc::downgrade(common), lanes: lanes.clone(), _token: tasks.token() }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        for lane in self.lanes.take_all().iter().chain(&self.common.upgrade()) {
            if let Some(agreed) = lane.latest()
                && agreed.hop.session_id().is_some()
            {
                (self.end)(&agreed.hop);
            }
        }
    }
}
