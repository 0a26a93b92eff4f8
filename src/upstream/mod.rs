//! Servers: how each is reached, and how each era is spoken.

#[cfg(feature = "_client")]
mod backoff;
#[cfg(feature = "_client")]
mod client;
pub mod error;
mod hop;
#[cfg(feature = "http")]
pub mod http;
pub mod mux;
mod settings;
#[cfg(feature = "sse")]
pub mod sse;

pub use self::{
    hop::{Hop, Outbound, Transport},
    settings::Settings,
};
