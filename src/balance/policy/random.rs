use super::Policy;
use crate::{
    Call,
    balance::{Candidates, Member},
};

/// Any, each as likely as the others.
///
/// It keeps no count, so several gateways before the same servers do not fall into step. Over few calls the shares are uneven.
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, load::Meter};
/// use tower_mcp_gateway::balance::{Candidates, Member, policy::{Policy, Random}};
///
/// let members = ["a", "b", "c"].map(|id| Member::new(id.into(), Meter::new(1)));
/// let (well, call) = (Candidates::of(&members, [0, 2]), Call::new(Method::PING, Params::empty()));
/// assert!((0..100).all(|_| Random::pick(&(), &well, &call) != 1));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Policy for Random {
    type Plan = ();

    fn plan(&self, _: &[Member]) {}

    fn pick((): &(), candidates: &Candidates<'_>, _: &Call) -> usize {
        candidates.nth(fastrand::usize(..candidates.len()))
    }
}
