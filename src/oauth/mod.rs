//! Signing in at servers that ask for it: OAuth 2.1, with the gateway as client.
//!
//! A hosted server is of use only to whom its owner lets in. A person signs in once, in a browser
//! (`tower-mcp-gateway login SERVER`, or [`SignIn`] in a program of one's own); the tokens are kept in a file that only
//! this user can read, and the gateway renews them before they expire, and once more where the server refuses one.
//!
//! ```
//! use tower_mcp_gateway::{oauth::OAuth, registry::Server};
//!
//! let hosted = Server::http("issues", "issues", "https://mcp.example.com/mcp")?
//!     .oauth(OAuth::new("/var/lib/gateway/tokens").scopes(["issues:read"]));
//! # let _ = hosted;
//! # Ok::<(), tower_mcp_gateway::registry::InvalidServer>(())
//! ```
//!
//! # What is checked
//!
//! - Addresses that the server names are asked only over `https`, or at a loopback address; redirects are not followed.
//! - The resource that the metadata speaks of is the server (RFC 9728), and the issuer of the metadata is the one that was
//!   asked for (RFC 8414). A server without such metadata, as those of revision 2025-03-26, is its own issuer.
//! - PKCE with S256: an authorization server that does not say it has it is not used.
//! - The answer in the browser carries the `state` that was given out, and the issuer in `iss` where there is one or the
//!   authorization server promises one (RFC 9207).
//! - Every token is asked for with `resource` (RFC 8707), so that it is good for this server alone, and is kept with the
//!   server's address: no other address gets it, whatever server has the id. Where the address is another, somebody signs in
//!   again.
//!
//! # Who the gateway is
//!
//! With a [`client_id`](OAuth::client_id) it is that client; an `https` address as id stands for a client-ID metadata
//! document there. Without one it registers itself (RFC 7591).

mod address;
mod settings;

#[cfg(feature = "_client")]
mod answer;
#[cfg(feature = "_client")]
mod browser;
#[cfg(feature = "_client")]
mod discovery;
#[cfg(feature = "_client")]
mod endpoint;
#[cfg(feature = "_client")]
pub mod error;
#[cfg(feature = "_client")]
mod lock;
#[cfg(feature = "_client")]
mod once;
#[cfg(feature = "_client")]
mod pkce;
#[cfg(feature = "_client")]
mod registration;
#[cfg(feature = "_client")]
mod setback;
#[cfg(feature = "_client")]
mod sign_in;
#[cfg(feature = "_client")]
mod sign_out;
#[cfg(feature = "_client")]
mod store;
#[cfg(feature = "_client")]
mod tokens;
#[cfg(feature = "_client")]
mod web;

pub(crate) use self::address::is_safe;
pub use self::settings::OAuth;
#[cfg(feature = "_client")]
pub(crate) use self::{once::once, tokens::Tokens};
#[cfg(feature = "_client")]
pub use self::{sign_in::SignIn, sign_out::sign_out};
