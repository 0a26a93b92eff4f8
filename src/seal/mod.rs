//! Tokens that clients carry and only the gateway can read: session ids and the state of parked calls.
//!
//! What a client must give back later is handed to it sealed (XChaCha20-Poly1305), so the gateway can forget it and still
//! trust it: after a restart, or on another replica with the same [`Keys`]. A token of one [`Purpose`] opens for no
//! other, and anything that was altered, cut or made elsewhere does not open at all.
//!
//! ```
//! use tower_mcp_gateway::seal::{Keys, Purpose};
//!
//! let keys = Keys::generate()?;
//! let token = keys.seal(Purpose::Session, b"who it is");
//! assert_eq!(keys.open(Purpose::Session, &token).as_deref(), Some(&b"who it is"[..]));
//! assert_eq!(keys.open(Purpose::RequestState, &token), None);
//! # Ok::<(), tower_mcp_gateway::seal::error::NoRandomness>(())
//! ```

pub mod error;
mod keys;

#[cfg(feature = "legacy")]
pub(crate) use self::keys::Nonce;
pub use self::keys::{Keys, Purpose};
