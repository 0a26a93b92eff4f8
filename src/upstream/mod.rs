//! Servers: how each is reached, and how each era is spoken.

pub mod era;
pub mod error;
mod hop;
pub mod mux;
mod settings;
#[cfg(feature = "stdio")]
pub mod stdio;

pub use self::{
    hop::{Hop, Outbound, Transport},
    settings::Settings,
};
