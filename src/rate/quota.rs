use super::error::InvalidQuota;
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// So many calls in a second, a minute or an hour: `10/s`, `60/min`, `1000/h`.
///
/// All of them may come at once; after that they come back one by one, evenly over the time. So at no moment more than
/// twice the calls have passed within one period.
///
/// ```
/// use tower_mcp_gateway::rate::Quota;
///
/// let quota: Quota = "60/min".parse()?;
/// assert_eq!(quota.to_string(), "60 calls per minute");
/// assert_eq!("60".parse::<Quota>().unwrap_err().to_string(), "write calls and a unit, such as 10/s, 60/min or 1000/h");
/// # Ok::<(), tower_mcp_gateway::rate::error::InvalidQuota>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    calls: NonZeroU32,
    unit: Unit,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Quota {
    /// The most calls of a quota: one each microsecond, beyond which nothing would be limited.
    pub const MAX_CALLS: u32 = 1_000_000;

    /// How many calls.
    pub const fn calls(self) -> u32 {
        self.calls.get()
    }

    /// In what time.
    pub const fn period(self) -> Duration {
        Duration::from_secs(match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 60 * 60,
        })
    }
}

impl FromStr for Quota {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let (calls, unit) = text.split_once('/').ok_or(InvalidQuota(()))?;
        let calls: NonZeroU32 = calls.trim().parse().map_err(|_| InvalidQuota(()))?;
        let unit = match unit.trim() {
            "s" => Unit::Second,
            "min" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(InvalidQuota(())),
        };
        if calls.get() > Self::MAX_CALLS {
            return Err(InvalidQuota(()));
        }
        Ok(Self { calls, unit })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = if self.calls.get() == 1 { "call" } else { "calls" };
        let unit = match self.unit {
            Unit::Second => "second",
            Unit::Minute => "minute",
            Unit::Hour => "hour",
        };
        write!(f, "{} {calls} per {unit}", self.calls)
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quota({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_quota_is_refused() {
        for text in ["", "10", "/s", "0/s", "-1/s", "1.5/s", "10/m", "10/sec", "10 per s", "1000001/s", "4294967296/h"]
        {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
        assert_eq!("1 / h".parse::<Quota>().unwrap().to_string(), "1 call per hour");
    }
}
