use super::{Policy, Turn};
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// One after the other, for each tool.
///
/// Turns are taken among the eligible members of each call, so those of a tool that only some replicas list are even too,
/// and a member that is out does not leave its turns to its neighbour.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, load::Meter};
/// use tower_mcp_gateway::balance::{Candidates, Member, policy::{Policy, RoundRobin}};
///
/// let members = ["a", "b", "c"].map(|id| Member::new(id.into(), Meter::new(1)));
/// let plan = RoundRobin::default().plan(&members);
/// let (well, call) = (Candidates::of(&members, [0, 2]), Call::new(Method::PING, Params::empty()));
/// let turns: Vec<_> = (0..4).map(|_| RoundRobin::pick(&plan, &well, &call)).collect();
/// assert_eq!(turns, [0, 2, 0, 2]);
/// ```
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
