//! The peers of the wire tests, tried against each other, so that in the wire tests only the gateway is unknown.

#[path = "../support/mod.rs"]
mod support;

mod platform;
mod raw;
mod sdk;
