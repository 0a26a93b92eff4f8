use super::{Policy, Turn};
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// One after the other, for each tool.
///
/// Turns are taken among the eligible members of each call, so those of a tool that only some replicas list are even too,
/// and a member that is out does not leave its turns to its neighbour.
#[derive(Clone, Debug, Default)]
pub struct RoundRobin(Turn);

impl Policy for RoundRobin {
    type Plan = Turn;

    fn plan(&self, _: &[Member]) -> Turn {
        self.0.clone()
    }

    fn pick(turn: &Turn, candidates: &Candidates<'_>, call: &Call) -> usize {
        candidates.nth(turn.next(call) % candidates.len())
    }
}
