//! Servers: how each is reached, and how each era is spoken.

mod connect;
pub mod era;
pub mod error;
mod hop;
pub mod mux;
mod settings;
#[cfg(feature = "stdio")]
pub mod stdio;

pub use self::{
    connect::{Upstream, connect},
    hop::{Hop, Outbound, Transport},
    settings::Settings,
};
