//! Server-sent events: bytes to events and back.
//!
//! Two of the three ways of MCP over HTTP write messages as an event stream. [`Decoder`] reads one in pieces of any
//! size, [`encode`] writes one event as one piece. Neither looks into the data.
//!
//! ```
//! use tower_mcp_gateway::sse::{self, Decoder, Event};
//!
//! let mut bytes = sse::encode(&Event::new("{\"jsonrpc\":\"2.0\"}").with_id("7"));
//! let mut decoder = Decoder::new(1024);
//! let event = decoder.decode(&mut bytes)?.expect("a whole event");
//! assert_eq!(event.data, "{\"jsonrpc\":\"2.0\"}");
//! assert_eq!(event.id.as_deref(), Some("7"));
//! # Ok::<(), tower_mcp_gateway::upstream::error::TooLarge>(())
//! ```

mod decode;
mod encode;
mod event;
#[cfg(feature = "_client")]
mod rest;

pub(crate) use self::encode::{append, close, lines, open};
#[cfg(feature = "_client")]
pub(crate) use self::rest::Rest;
pub use self::{
    decode::Decoder,
    encode::{KEEP_ALIVE, encode},
    event::Event,
};
