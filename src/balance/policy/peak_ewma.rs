use super::Policy;
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// The cheaper of two picked at random, by [`Meter::cost`](crate::load::Meter::cost): latency times calls in flight.
///
/// Looking at two rather than at all keeps callers from all rushing to the one that was cheapest a moment ago.
/// For pools whose servers differ in speed, or change it.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, load::Meter};
/// use tower_mcp_gateway::balance::{Candidates, Member, policy::{PeakEwma, Policy}};
///
/// let busy = Meter::new(1);
/// let members = [Member::new("a".into(), busy.clone()), Member::new("b".into(), Meter::new(1))];
/// let (all, call) = (Candidates::of(&members, [0, 1]), Call::new(Method::PING, Params::empty()));
/// let _flight = busy.start();
/// assert_eq!(PeakEwma::pick(&(), &all, &call), 1, "of two, both are looked at");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PeakEwma;

impl Policy for PeakEwma {
    type Plan = ();

    fn plan(&self, _: &[Member]) {}

    fn pick((): &(), candidates: &Candidates<'_>, _: &Call) -> usize {
        let count = candidates.len();
        let first = fastrand::usize(..count);
        if count == 1 {
            return candidates.nth(first);
        }
        let second = (first + fastrand::usize(1..count)) % count;
        let (first, second) = (candidates.nth(first), candidates.nth(second));
        let cost = |index: usize| candidates.members()[index].meter().cost();
        if cost(second) < cost(first) { second } else { first }
    }
}
