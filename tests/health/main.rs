//! Healthy discovery, rule by rule, and probes.

#[path = "../support/calls.rs"]
mod calls;
#[path = "../support/patient.rs"]
mod patient;

mod healthy;
mod probe;
