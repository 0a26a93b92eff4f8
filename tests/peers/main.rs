//! The peers of the wire tests, tried against each other, so that in the wire tests only the gateway is unknown.

#[path = "../../examples/platform/analytics.rs"]
mod analytics;
#[path = "../../examples/platform/files.rs"]
mod files;
#[path = "../../examples/platform/search.rs"]
mod search;
#[path = "../support/mod.rs"]
mod support;

mod platform;
mod raw;
mod sdk;

// Where the platform's servers look for it.
use self::support::kit;
