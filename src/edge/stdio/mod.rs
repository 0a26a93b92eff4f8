//! One client at the other end of two pipes: a gateway that desktop clients launch as they launch any stdio server.
//!
//! Each line is one message (2026-07-28 and 2025-11-25, "basic/transports: stdio"). Both eras may be spoken, even by one
//! client: a request with a version in its `_meta` stands for itself, any other belongs to the one session that
//! `initialize` opens. Calls run side by side and are answered as they end; notifications are handed on in order.
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | a line | [`max_request_bytes`](super::EdgeLayer::max_request_bytes) | skipped, and answered with −32600 |
//! | calls in flight, of each era | 256 | 503 |
//! | messages the client has not read | 64, or 1 MiB | its calls wait |
//! | notifications that a server has not taken | 64 | dropped |

#[cfg(feature = "legacy")]
mod legacy;
mod modern;
mod service;
#[cfg(test)]
mod tests;
mod write;
