//! How an endpoint is picked.
//!
//! [`Strategy`] names the five that come with the gateway and is itself a [`Policy`], for programs that are configured.
//! Write one of your own by implementing the trait:
//!
//! ```
//! use tower_mcp_gateway::{Call, balance::{Candidates, Member, policy::Policy}};
//!
//! /// The first one by id; the others are only there for when it is not.
//! struct Primary;
//!
//! impl Policy for Primary {
//!     type Plan = ();
//!
//!     fn plan(&self, _: &[Member]) {}
//!
//!     fn pick((): &(), candidates: &Candidates<'_>, _: &Call) -> usize {
//!         candidates.nth(0)
//!     }
//! }
//! ```

mod least_connections;
mod peak_ewma;
mod random;
mod round_robin;
mod strategy;
mod turn;
mod weighted;

pub use self::{
    least_connections::LeastConnections,
    peak_ewma::PeakEwma,
    random::Random,
    round_robin::RoundRobin,
    strategy::{Plan, Strategy, UnknownStrategy},
    turn::Turn,
    weighted::{Schedule, Weighted},
};

use super::{Candidates, Member};
use crate::Call;

/// Picks one of the eligible endpoints for a call.
///
/// What can be prepared is prepared by [`plan`](Policy::plan), once per membership and off the path of calls;
/// [`pick`](Policy::pick) runs for each call and should not allocate, lock or wait. Eligibility comes as [`Candidates`], a
/// set of bits over all members, rather than as a list of the eligible ones, which would have to be made for each call.
///
/// Neither needs a server, so a policy of your own is tested with members made by hand:
///
/// ```
/// use tower_mcp_gateway::{Call, Method, json::Params, load::Meter};
/// use tower_mcp_gateway::balance::{Candidates, Member, policy::Policy};
///
/// /// All calls of one tool to one member, for servers that keep what they looked up.
/// struct ByTool;
///
/// impl Policy for ByTool {
///     type Plan = ();
///
///     fn plan(&self, _: &[Member]) {}
///
///     fn pick((): &(), candidates: &Candidates<'_>, call: &Call) -> usize {
///         let sum: usize = call.params.name().unwrap_or_default().bytes().map(usize::from).sum();
///         candidates.nth(sum % candidates.len())
///     }
/// }
///
/// let members = ["a", "b"].map(|id| Member::new(id.into(), Meter::new(1)));
/// let (all, one) = (Candidates::of(&members, [0, 1]), Candidates::of(&members, [1]));
/// let call = Call::new(Method::TOOLS_CALL, Params::from_value(&serde_json::json!({"name": "search"}))?);
/// assert_eq!(ByTool::pick(&(), &all, &call), ByTool::pick(&(), &all, &call));
/// assert_eq!(ByTool::pick(&(), &one, &call), 1, "the only one that is eligible");
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
pub trait Policy: Send + Sync + 'static {
    /// What is prepared once per membership.
    type Plan: Send + Sync + 'static;

    /// Prepares for these members.
    fn plan(&self, members: &[Member]) -> Self::Plan;

    /// The index of the member that gets `call`: one of `candidates`, which is never empty.
    fn pick(plan: &Self::Plan, candidates: &Candidates<'_>, call: &Call) -> usize;
}
