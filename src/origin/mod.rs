//! Who may talk to the gateway from a browser: the check against DNS rebinding.
//!
//! A page on the web can make its own host name resolve to 127.0.0.1 and then read whatever listens there. Two headers
//! give it away, because scripts cannot set them: `Origin`, which names the page, and `Host`, which names what the
//! browser thinks it talks to. Every revision of the protocol that has HTTP demands the first check (2026-07-28,
//! "basic/transports/streamable-http: Security Warning"); the second catches requests that carry no `Origin`.
//!
//! This is not CORS: no header is ever added, and a page whose origin is allowed still needs a CORS layer in front to
//! read what it gets. It is stricter than a same-origin check, which a rebound name passes.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::{Empty, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_gateway::origin::OriginLayer;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = ServiceBuilder::new()
//!     .layer(OriginLayer::localhost())
//!     .service(service_fn(|_: Request<Empty<Bytes>>| async { Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default())) }));
//!
//! let rebound = Request::post("/mcp").header("host", "evil.example:4000").body(Empty::new())?;
//! assert_eq!(service.clone().oneshot(rebound).await?.status(), StatusCode::FORBIDDEN);
//! let local = Request::post("/mcp").header("host", "localhost:4000").body(Empty::new())?;
//! assert_eq!(service.oneshot(local).await?.status(), StatusCode::OK);
//! # Ok(()) }
//! ```

mod authority;
pub mod error;
pub mod future;
mod layer;
mod service;

#[cfg(feature = "cli")]
pub(crate) use self::service::refusal;
pub use self::{layer::OriginLayer, service::Origin};
