//! The peers of the wire tests, tried against each other, so that in the wire tests only the gateway is unknown.

#[path = "../../examples/platform/analytics.rs"]
mod analytics;
#[path = "../../examples/platform/files.rs"]
mod files;
#[path = "../../examples/platform/kit/mod.rs"]
#[allow(dead_code, reason = "the tests use its rules, not its wires")]
mod kit;
#[path = "../../examples/platform/search.rs"]
mod search;
#[path = "../support/mod.rs"]
mod support;

mod platform;
mod raw;
mod sdk;
