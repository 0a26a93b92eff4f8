//! A server entered as Streamable HTTP that turns out to speak HTTP+SSE.
//!
//! Many configurations name an address and nothing else. The rules of the protocol for such an address
//! (2026-07-28, "streamable-http: Backward Compatibility") end with HTTP+SSE: where the POST of `initialize` is refused
//! and a GET is answered with an `endpoint` event, the server is of that kind, and is for as long as it is known.

mod service;

pub use self::service::Fallback;
