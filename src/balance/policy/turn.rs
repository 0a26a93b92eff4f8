use crate::Call;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Whose turn it is, as a counter that outlives memberships.
///
/// Calls that know their [providers](crate::Providers) use the counter of those, one per pool and tool: two tools called
/// in turn then alternate each. Others share this one.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<AtomicUsize>);

impl Turn {
    /// The number of this call; wraps around.
    pub(super) fn next(&self, call: &Call) -> usize {
        let turn = call.providers.as_ref().map_or(&*self.0, |providers| &providers.turn);
        turn.fetch_add(1, Ordering::Relaxed)
    }
}
