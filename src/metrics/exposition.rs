use super::{Count, Family, Gauge};
use crate::registry::{Measured, Registry, Status};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, prometheus_text},
    metrics::MetricType,
};
use std::{collections::HashSet, fmt};

/// Writes what a registry and its gateway count as Prometheus text (version 0.0.4).
///
/// Every number is read when it is asked for. Servers that were unregistered are not shown any more.
///
/// ```
/// use tower_mcp_gateway::{metrics::{Count, Exposition}, registry::Registry};
///
/// let (registry, _driver) = Registry::builder().build();
/// registry.settings().metrics.count(Count::RateLimited);
/// let text = Exposition::new(registry).to_text();
/// assert!(text.contains("mcp_gateway_refused_total{reason=\"rate_limited\"} 1\n"));
/// ```
///
/// | metric | labels | |
/// |---|---|---|
/// | `mcp_gateway_refused_total` | `reason` | requests and calls turned away before a server was asked |
/// | `mcp_gateway_timeouts_total` | `limit` | calls that ran into a deadline |
/// | `mcp_gateway_failed_total` | `reason` | other calls that a server was asked for, and the gateway has no answer to |
/// | `mcp_gateway_repeated_total` | `reason` | calls sent, or tried to be sent, once more |
/// | `mcp_gateway_dropped_total` | `what` | what was thrown away so that nothing grows without bound |
/// | `mcp_gateway_reloads_total` | `outcome` | new configurations |
/// | `mcp_gateway_sessions`, `_streams`, `_calls_in_flight` | | what there is now |
/// | `mcp_gateway_server_calls_total` | `server`, `name`, `method`, `outcome` | calls of a server |
/// | `mcp_gateway_server_call_duration_seconds` | `server`, `name` | from sending a call to its last event |
/// | `mcp_gateway_server_calls_in_flight` | `server`, `name` | |
/// | `mcp_gateway_server_status` | `server`, `name`, `status` | 1 for the status it has |
/// | `mcp_gateway_server_breaker_opened_total` | `server`, `name` | |
/// | `mcp_gateway_server_starts_total` | `server`, `name` | starts of a child process |
/// | `mcp_gateway_server_tools_changed_total` | `server`, `name` | tools found to be something else than what is [pinned](crate::pin) |
#[derive(Debug)]
pub struct Exposition(prometheus_client::registry::Registry);

impl Exposition {
    /// The `Content-Type` of what [`to_text`](Self::to_text) writes.
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// Shows `registry`, and what counts in the metrics of its settings.
    pub fn new(registry: Registry) -> Self {
        let mut metrics = prometheus_client::registry::Registry::with_prefix("mcp_gateway");
        metrics.register_collector(Box::new(Source(registry)));
        Self(metrics)
    }

    /// All of it, as it is now.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail, and no metric here is of a kind that the format lacks.
        if let Err(error) = prometheus_text::encode(&mut text, &self.0) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

#[derive(Debug)]
struct Source(Registry);

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.0.settings().metrics;
        for family in Family::ALL {
            let (name, label) = family.names();
            let mut out = encoder.encode_descriptor(name, family.help(), None, MetricType::Counter)?;
            for count in Count::ALL.iter().filter(|count| count.family() == family) {
                counter(&mut out, &[(label, count.label())], metrics.get(*count))?;
            }
        }
        for gauge in Gauge::ALL {
            let mut out = encoder.encode_descriptor(gauge.name(), gauge.help(), None, MetricType::Gauge)?;
            out.encode_gauge(&metrics.now(gauge))?;
        }
        // One that is stopping has the labels of the one that replaced it, and a sample must not come twice.
        let (mut servers_of, mut seen) = (self.0.measured(), HashSet::new());
        servers_of.retain(|server| seen.insert(server.id.clone()));
        servers(&mut encoder, &servers_of)
    }
}

type Label<'a> = (&'static str, &'a str);

fn counter(out: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
    out.encode_family(labels)?.encode_counter::<[Label<'_>; 0], u64, u64>(&value, None)
}

fn identity(server: &Measured) -> [Label<'_>; 2] {
    [("server", server.id.as_str()), ("name", server.name.as_str())]
}

fn servers(encoder: &mut DescriptorEncoder<'_>, servers: &[Measured]) -> fmt::Result {
    let help = "Calls of a server, by how they ended";
    let mut out = encoder.encode_descriptor("server_calls", help, None, MetricType::Counter)?;
    for server in servers {
        for (method, outcome, count) in server.calls.outcomes() {
            counter(&mut out, &(identity(server), [("method", method), ("outcome", outcome.label())]), count)?;
        }
    }
    durations(encoder, servers)?;
    let help = "Calls of a server that have not ended";
    let mut out = encoder.encode_descriptor("server_calls_in_flight", help, None, MetricType::Gauge)?;
    for server in servers {
        out.encode_family(&identity(server))?.encode_gauge(&(server.in_flight as u64))?;
    }
    statuses(encoder, servers)?;
    let mut each = |name, help, value: fn(&Measured) -> u64| {
        let mut out = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        servers.iter().try_for_each(|server| counter(&mut out, &identity(server), value(server)))
    };
    each("server_breaker_opened", "How often calls in a row failed until a server was left out", |s| s.breaker_opened)?;
    each("server_starts", "Starts of a child process", |server| server.calls.starts())?;
    each("server_tools_changed", "Tools found to be something else than first seen", |server| server.calls.changes())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, servers: &[Measured]) -> fmt::Result {
    let (name, help) = ("server_call_duration_seconds", "From sending a call to a server to its last event");
    let mut out = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for server in servers {
        let (sum, classes) = server.calls.durations();
        let classes: Vec<_> = classes.collect();
        let count = classes.iter().map(|(_, count)| count).sum();
        // The class without a bound is what the format adds by itself.
        let bounded = classes.into_iter().filter_map(|(longest, count)| Some((longest?.as_secs_f64(), count)));
        let classes: Vec<(f64, u64)> = bounded.collect();
        let labels = identity(server);
        let mut out = out.encode_family(&labels)?;
        out.encode_histogram::<[Label<'_>; 0]>(sum.as_secs_f64(), count, &classes, None)?;
    }
    Ok(())
}

fn statuses(encoder: &mut DescriptorEncoder<'_>, servers: &[Measured]) -> fmt::Result {
    let help = "1 for the status that a server has";
    let mut out = encoder.encode_descriptor("server_status", help, None, MetricType::Gauge)?;
    for server in servers {
        for status in Status::ALL {
            let word = status.to_string();
            let labels = (identity(server), [("status", word.as_str())]);
            out.encode_family(&labels)?.encode_gauge(&u64::from(server.status == status))?;
        }
    }
    Ok(())
}
