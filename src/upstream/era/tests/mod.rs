//! Era over a transport whose every answer is scripted, in paused time.

mod handshake;
mod logging;
mod mock;
mod per_client;
mod questions;
mod refused;
mod resources;
mod sessions;
mod wording;
