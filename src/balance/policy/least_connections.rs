use super::{Policy, Turn};
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// The one with the fewest calls in flight, counted to the end of each reply; among equals one after the other.
///
/// For pools whose calls differ much in length. An endpoint that fails quickly has few calls in flight and would draw
/// more of them; its breaker is what stops that.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, load::Meter};
/// use tower_mcp_gateway::balance::{Candidates, Member, policy::{LeastConnections, Policy}};
///
/// let busy = Meter::new(1);
/// let members = [Member::new("a".into(), busy.clone()), Member::new("b".into(), Meter::new(1))];
/// let plan = LeastConnections::default().plan(&members);
/// let (all, call) = (Candidates::of(&members, [0, 1]), Call::new(Method::PING, Params::empty()));
/// let _flight = busy.start();
/// assert_eq!(LeastConnections::pick(&plan, &all, &call), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LeastConnections(Turn);

impl Policy for LeastConnections {
    type Plan = Turn;

    fn plan(&self, _: &[Member]) -> Turn {
        self.0.clone()
    }

    fn pick(turn: &Turn, candidates: &Candidates<'_>, call: &Call) -> usize {
        // Counted once each, since calls come and go meanwhile.
        let load = |index: usize| candidates.members()[index].meter().in_flight();
        let (mut least, mut equals) = (usize::MAX, 0);
        for load in candidates.iter().map(load) {
            (least, equals) = match load.cmp(&least) {
                std::cmp::Ordering::Less => (load, 1),
                std::cmp::Ordering::Equal => (least, equals + 1),
                std::cmp::Ordering::Greater => (least, equals),
            };
        }
        let turn = turn.next(call);
        let idle = candidates.iter().filter(|&index| load(index) <= least).nth(turn % equals);
        idle.unwrap_or_else(|| candidates.nth(turn % candidates.len()))
    }
}
