//! Types that live in `balance` and `catalog`.
use std::str::FromStr;
/// a
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    RoundRobin,
    LeastConnections,
    Weighted,
    Random,
    PeakEwma,
}
/// a
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    Auto,
    Prefixed,
}
impl FromStr for Strategy {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        Ok(match s {
            "round-robin" => Self::RoundRobin,
            "least-connections" => Self::LeastConnections,
            "weighted" => Self::Weighted,
            "random" => Self::Random,
            "peak-ewma" => Self::PeakEwma,
            _ => return Err(()),
        })
    }
}
