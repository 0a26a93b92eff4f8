//! Servers: how each is reached, and how each era is spoken.
//!
//! [`connect`] makes one service of a [`Server`](crate::registry::Server): an [`Era`](era::Era), which knows what the server's
//! revision wants, on one of three transports, which know framing, ids and tokens, and nothing of revisions.
//!
//! | transport | connection | cancelled by | lost |
//! |---|---|---|---|
//! | `stdio` | a child process in a group of its own | `notifications/cancelled` | its calls fail; it is started again after a pause |
//! | `sse` | one event stream, and requests beside it | the same | its calls fail; it is opened again after a pause |
//! | `http` | pooled connections, one per call | dropping the response (2026-07-28), else the same | that call fails |
//!
//! On the first two, calls share a channel, and a [`Mux`](mux::Mux) tells their messages apart. Which era a server speaks is
//! found out at its first call: `server/discover`, and `initialize` where that is not known.
//!
//! A transport of one's own is a service of [`Outbound`], as [`Transport`] describes it, with an `Era` around it; a registry
//! takes it by [`Builder::connect`](crate::registry::Builder::connect).

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
mod quiet;
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
