use super::{LeastConnections, PeakEwma, Policy, Random, RoundRobin, Schedule, Turn, Weighted};
use crate::{
    Call,
    balance::{Candidates, Member},
    nearest::nearest,
};
use std::{fmt, str::FromStr};

/// The policies that come with the gateway, by name.
///
/// ```
/// use tower_mcp_gateway::balance::policy::Strategy;
///
/// assert_eq!("least-connections".parse(), Ok(Strategy::LeastConnections));
/// let error = "least-conections".parse::<Strategy>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown balancer \"least-conections\", did you mean least-connections? \
///      (known: round-robin, least-connections, weighted, random, peak-ewma)",
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Strategy {
    /// One after the other, for each tool.
    #[default]
    RoundRobin,
    /// The one with the fewest calls in flight.
    LeastConnections,
    /// In proportion to the servers' weights.
    Weighted,
    /// Any.
    Random,
    /// The one that answers fastest for what it has to do.
    PeakEwma,
}

/// A name that is none of a [`Strategy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStrategy {
    name: Box<str>,
}

/// What a [`Strategy`] has prepared.
#[derive(Debug)]
pub struct Plan(Kind);

#[derive(Debug)]
enum Kind {
    RoundRobin(Turn),
    LeastConnections(Turn),
    Weighted(Schedule),
    Random,
    PeakEwma,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 5] =
        [Self::RoundRobin, Self::LeastConnections, Self::Weighted, Self::Random, Self::PeakEwma];

    /// The name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::Weighted => "weighted",
            Self::Random => "random",
            Self::PeakEwma => "peak-ewma",
        }
    }
}

// The turn of calls without providers begins anew with each membership here; a policy that is used directly keeps it.
impl Policy for Strategy {
    type Plan = Plan;

    fn plan(&self, members: &[Member]) -> Plan {
        Plan(match self {
            Self::RoundRobin => Kind::RoundRobin(RoundRobin::default().plan(members)),
            Self::LeastConnections => Kind::LeastConnections(LeastConnections::default().plan(members)),
            Self::Weighted => Kind::Weighted(Weighted::default().plan(members)),
            Self::Random => Kind::Random,
            Self::PeakEwma => Kind::PeakEwma,
        })
    }

    fn pick(plan: &Plan, candidates: &Candidates<'_>, call: &Call) -> usize {
        match &plan.0 {
            Kind::RoundRobin(turn) => RoundRobin::pick(turn, candidates, call),
            Kind::LeastConnections(turn) => LeastConnections::pick(turn, candidates, call),
            Kind::Weighted(schedule) => Weighted::pick(schedule, candidates, call),
            Kind::Random => Random::pick(&(), candidates, call),
            Kind::PeakEwma => PeakEwma::pick(&(), candidates, call),
        }
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        let known = Self::ALL.into_iter().find(|strategy| strategy.as_str() == name);
        known.ok_or_else(|| UnknownStrategy { name: name.into() })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Strategy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl UnknownStrategy {
    /// The name that is closest, if any is close enough to be meant.
    pub fn closest(&self) -> Option<Strategy> {
        nearest(&self.name, &Strategy::ALL.map(Strategy::as_str))?.parse().ok()
    }
}

impl fmt::Display for UnknownStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown balancer {:?}", self.name)?;
        if let Some(closest) = self.closest() {
            write!(f, ", did you mean {closest}?")?;
        }
        write!(f, " (known: {})", Strategy::ALL.map(Strategy::as_str).join(", "))
    }
}

impl std::error::Error for UnknownStrategy {}
