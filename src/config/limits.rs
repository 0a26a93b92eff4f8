use super::reader::{Field, Object, Reader};
use crate::{
    edge::EdgeLayer, gateway::Gateway, health::Thresholds, registry::Builder, subscribe::SubscribeLayer,
    timeout::TimeoutLayer, upstream::Settings,
};
use std::{num::NonZeroU32, ops::RangeInclusive, time::Duration};

/// What bounds a gateway, so that nothing a client or a server does can take more of it than this.
///
/// The defaults suit a developer's machine and a team's server alike; each field says why it is what it is. Whoever
/// needs another sets that one:
///
/// ```
/// use tower_mcp_gateway::config::Config;
///
/// let config = Config::parse(r#"{ "limits": { "maxInFlight": 64, "fall": 3 } }"#, |_| None)?;
/// assert_eq!((config.limits.max_in_flight, config.limits.thresholds.fall.get()), (64, 3));
/// assert_eq!(config.limits.max_in_flight_per_server, 100);
/// # Ok::<(), tower_mcp_gateway::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// `fall` and `rise`: how many checks in a row must fail or succeed until a server counts as down or up. 1 and 1: a
    /// failed check is a lost server, and waiting for a second would send calls into it meanwhile.
    pub thresholds: Thresholds,
    /// `maxInFlight`: calls in flight at once in the whole gateway; one more gets 503.
    pub max_in_flight: usize,
    /// `maxInFlightPerServer`: calls in flight at one server, so that one that hangs does not hold all of the above.
    pub max_in_flight_per_server: usize,
    /// `maxRequestBytes`: the largest request body; a larger one gets 413.
    pub max_request_bytes: usize,
    /// `maxMessageBytes`: the largest message or event that is taken from a server; a larger one ends its call.
    /// Results above 1 MiB pass while they arrive where server and client speak one era, and take no memory of this size.
    pub max_message_bytes: usize,
    /// `maxStreams`: clients that listen for changes at once.
    pub max_streams: usize,
    /// `maxSessions`: sessions of initialize-era clients at once.
    pub max_sessions: usize,
    /// `maxTotal`: the longest a call may take, however lively it is.
    pub max_total: Duration,
    /// `askTimeout`: how long a person may think about a server's question, during which the other clocks stand still.
    pub ask_timeout: Duration,
    /// `idleTimeout`: how long a session lives without a request, a running call or an open stream.
    pub idle_timeout: Duration,
    /// `headTimeout`: how long a request head may take to arrive, from its first byte to its last, in the program's own
    /// listeners; then the connection is cut. No client needs as much.
    pub head_timeout: Duration,
    /// `bodyTimeout`: how long a request body may take to arrive, however steadily it drips; then 408.
    pub body_timeout: Duration,
    /// `connectionIdleTimeout`: how long a connection is kept without a request, in the program's own listeners.
    pub connection_idle_timeout: Duration,
    /// `stallTimeout`: how long a client may read nothing of an answer that waits for it, in the program's own listeners;
    /// then the connection is cut. Until then no more is taken from the server than the buffers between hold.
    pub stall_timeout: Duration,
    /// `stopGrace`: how long a child process may take to leave after its stdin was closed, before SIGTERM.
    pub stop_grace: Duration,
    /// `killGrace`: how long it may take after SIGTERM, before SIGKILL.
    pub kill_grace: Duration,
    /// `drainTimeout`: how long calls in flight may go on when the gateway stops, before they get an error.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let upstream = Settings::default();
        Self {
            thresholds: Thresholds::default(),
            max_in_flight: Gateway::IN_FLIGHT,
            max_in_flight_per_server: Builder::IN_FLIGHT,
            max_request_bytes: EdgeLayer::MAX_REQUEST_BYTES,
            max_message_bytes: upstream.max_message_bytes,
            max_streams: SubscribeLayer::MAX_STREAMS,
            max_sessions: 10_000,
            max_total: Gateway::MAX_TOTAL,
            ask_timeout: TimeoutLayer::ASK,
            idle_timeout: Duration::from_secs(30 * 60),
            head_timeout: Duration::from_secs(10),
            body_timeout: EdgeLayer::BODY_TIMEOUT,
            connection_idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            stop_grace: upstream.stop_grace,
            kill_grace: upstream.kill_grace,
            drain_timeout: Gateway::DRAIN,
        }
    }
}

const FIELDS: &[&str] = &[
    "fall",
    "rise",
    "maxInFlight",
    "maxInFlightPerServer",
    "maxRequestBytes",
    "maxMessageBytes",
    "maxStreams",
    "maxSessions",
    "maxTotal",
    "askTimeout",
    "idleTimeout",
    "headTimeout",
    "bodyTimeout",
    "connectionIdleTimeout",
    "stallTimeout",
    "stopGrace",
    "killGrace",
    "drainTimeout",
];

/// More checks than this in a row would take longer than anybody waits for a verdict.
const CHECKS: RangeInclusive<u64> = 1..=100;
/// Below 1 nothing would work; above, no machine could hold what it allows.
const COUNT: RangeInclusive<u64> = 1..=1_000_000;
/// A message below 1 KiB would not hold a handshake. The upper bound is what one message may take of memory.
const BYTES: RangeInclusive<u64> = 1024..=1 << 30;

/// Reads the object `limits`.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(object) = reader.object(field, FIELDS, |_| None) else { return limits };
    let checks = [("fall", &mut limits.thresholds.fall), ("rise", &mut limits.thresholds.rise)];
    for (key, checks) in checks {
        let number = integer(reader, &object, key, CHECKS, "");
        *checks = number.and_then(|number| NonZeroU32::new(number.try_into().ok()?)).unwrap_or(*checks);
    }
    let sizes = [
        ("maxInFlight", &mut limits.max_in_flight, COUNT, ""),
        ("maxInFlightPerServer", &mut limits.max_in_flight_per_server, COUNT, ""),
        ("maxStreams", &mut limits.max_streams, COUNT, ""),
        ("maxSessions", &mut limits.max_sessions, COUNT, ""),
        ("maxRequestBytes", &mut limits.max_request_bytes, BYTES, " (bytes)"),
        ("maxMessageBytes", &mut limits.max_message_bytes, BYTES, " (bytes)"),
    ];
    for (key, size, range, unit) in sizes {
        let number = integer(reader, &object, key, range, unit);
        *size = number.and_then(|number| number.try_into().ok()).unwrap_or(*size);
    }
    let times = [
        ("maxTotal", &mut limits.max_total),
        ("askTimeout", &mut limits.ask_timeout),
        ("idleTimeout", &mut limits.idle_timeout),
        ("headTimeout", &mut limits.head_timeout),
        ("bodyTimeout", &mut limits.body_timeout),
        ("connectionIdleTimeout", &mut limits.connection_idle_timeout),
        ("stallTimeout", &mut limits.stall_timeout),
        ("stopGrace", &mut limits.stop_grace),
        ("killGrace", &mut limits.kill_grace),
        ("drainTimeout", &mut limits.drain_timeout),
    ];
    for (key, time) in times {
        let ms = integer(reader, &object, key, 1..=super::settings::LONGEST_MS, " (milliseconds)");
        *time = ms.map_or(*time, Duration::from_millis);
    }
    limits
}

fn integer(
    reader: &mut Reader<'_>,
    object: &Object<'_>,
    key: &str,
    range: RangeInclusive<u64>,
    unit: &str,
) -> Option<u64> {
    object.get(key).and_then(|field| reader.integer(field, range, unit))
}
