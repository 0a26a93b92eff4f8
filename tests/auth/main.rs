//! Who is let in, and what a principal may do.
#![cfg(all(feature = "http", feature = "sse", feature = "stdio", feature = "legacy"))]

#[cfg(feature = "metrics")]
mod counted;
mod front;
mod layer;
#[cfg(feature = "oauth")]
mod oauth;
mod own;
mod policy;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod upstream;
#[path = "../support/wire.rs"]
mod wire;
