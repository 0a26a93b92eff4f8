//! Servers: how each is reached, and how each era is spoken.

mod ask;
mod backoff;
#[cfg(feature = "_client")]
pub(crate) mod client;
mod connect;
pub mod era;
pub mod error;
#[cfg(all(feature = "http", feature = "sse"))]
pub mod fallback;
mod hop;
#[cfg(feature = "http")]
pub mod http;
pub mod mux;
mod settings;
#[cfg(feature = "sse")]
pub mod sse;
#[cfg(feature = "stdio")]
pub mod stdio;

pub(crate) use self::{backoff::Backoff, hop::InSession};
pub use self::{
    connect::{Upstream, connect},
    hop::{Hop, OfClient, Outbound, Transport},
    settings::Settings,
};
