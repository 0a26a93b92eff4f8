use crate::EndpointId;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The result of one probe.
///
/// ```
/// use tower_mcp_gateway::health::HealthCheck;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let check = HealthCheck {
///     server_id: "search-1".into(),
///     healthy: true,
///     latency: Duration::from_micros(1500),
///     error: None,
///     checked_at: UNIX_EPOCH + Duration::from_millis(951_782_400_250),
/// };
/// assert_eq!(
///     serde_json::to_string(&check)?,
///     r#"{"serverId":"search-1","healthy":true,"latencyMs":2,"checkedAt":"2000-02-29T00:00:00.250Z"}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The endpoint.
    pub server_id: EndpointId,
    /// Whether it answered in time, with whatever outcome.
    pub healthy: bool,
    /// From the wish to ask to the answer or the failure; `latencyMs`, rounded, in JSON.
    pub latency: Duration,
    /// Why it is not healthy; absent in JSON if it is.
    pub error: Option<Box<str>>,
    /// When the result was known; RFC 3339 in UTC in JSON.
    pub checked_at: SystemTime,
}

impl Serialize for HealthCheck {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut check = serializer.serialize_struct("HealthCheck", 4 + usize::from(self.error.is_some()))?;
        check.serialize_field("serverId", &self.server_id)?;
        check.serialize_field("healthy", &self.healthy)?;
        check.serialize_field("latencyMs", &((self.latency.as_micros() + 500) / 1000))?;
        if let Some(error) = &self.error {
            check.serialize_field("error", error)?;
        }
        check.serialize_field("checkedAt", &rfc3339(self.checked_at))?;
        check.end()
    }
}

/// A time as RFC 3339 text in UTC with milliseconds; times before 1970 become 1970.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second, milli) = (second / 3600, second / 60 % 60, second % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from 1600-03-01 the leap day is the last of its year, and 400 years are always equally long.
    const FROM_1600_MARCH: u64 = 135_080;
    const IN_400_YEARS: u64 = 146_097;
    const IN_100_YEARS: u64 = 36_524;
    const IN_4_YEARS: u64 = 1_461;
    let days = days + FROM_1600_MARCH;
    let (era, rest) = (days / IN_400_YEARS, days % IN_400_YEARS);
    let century = (rest / IN_100_YEARS).min(3);
    let rest = rest - century * IN_100_YEARS;
    let (olympiad, rest) = (rest / IN_4_YEARS, rest % IN_4_YEARS);
    let year_of = (rest / 365).min(3);
    let day_of_year = rest - year_of * 365;
    // The months from March repeat the lengths 31 30 31 30 31: five months, 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = 1600 + era * 400 + century * 100 + olympiad * 4 + year_of;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        let text = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_868_799), "2000-02-29T23:59:59.000Z");
        assert_eq!(text(951_868_800), "2000-03-01T00:00:00.000Z");
        assert_eq!(text(1_709_164_800), "2024-02-29T00:00:00.000Z");
        assert_eq!(text(4_107_542_399), "2100-02-28T23:59:59.000Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00.000Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let leap = |year: u64| year.is_multiple_of(if year.is_multiple_of(100) { 400 } else { 4 });
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(date(days), (year, month, day), "day {days}");
            let length = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
