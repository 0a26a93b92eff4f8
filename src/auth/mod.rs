//! Who may use the gateway: client authentication as a layer of HTTP.
//!
//! [`Auth`] stands beside [`Origin`](crate::origin) in front of the edge. It reads the `Authorization` header, finds out
//! which [`Principal`] sent the request, and puts that into the request's extensions, from where it travels on in the
//! [`Call`](crate::Call)'s. The header itself ends here: nothing behind sees a credential of a client.
//!
//! Bearer tokens of two kinds are known: [static ones](Token), of which only a digest is kept, and, with the feature
//! `oauth`, access tokens of an OAuth 2.1 authorization server. Where there is one, the layer also answers
//! `GET /.well-known/oauth-protected-resource`, and the same with the resource's path behind it, to anybody: that is where
//! clients learn which server to ask for a token. A router must send these two paths here too.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode, header::WWW_AUTHENTICATE};
//! use http_body_util::{Empty, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_gateway::auth::{AuthLayer, Principal, Token};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Token::generate()?;
//! let service = ServiceBuilder::new()
//!     .layer(AuthLayer::required().token(Token::new("ci", &secret)?))
//!     .service(service_fn(|request: Request<Empty<Bytes>>| async move {
//!         let principal = request.extensions().get::<Principal>().unwrap().name().to_owned();
//!         Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::from(principal)))
//!     }));
//!
//! let stranger = service.clone().oneshot(Request::post("/mcp").body(Empty::new())?).await?;
//! assert_eq!((stranger.status(), &stranger.headers()[WWW_AUTHENTICATE]), (StatusCode::UNAUTHORIZED, &"Bearer".parse()?));
//! let known = Request::post("/mcp").header("authorization", format!("Bearer {secret}")).body(Empty::new())?;
//! assert_eq!(service.oneshot(known).await?.status(), StatusCode::OK);
//! # Ok(()) }
//! ```
//!
//! # What is refused
//!
//! | condition | status | `WWW-Authenticate` |
//! |---|---|---|
//! | no bearer token | 401 | `Bearer`, with `resource_metadata` and `scope` where there is an authorization server |
//! | a token that is unknown, expired, altered or meant for another server | 401 | the same with `error="invalid_token"` |
//! | more than one `Authorization` header | 400 | the same with `error="invalid_request"` |
//! | a token that lacks a scope | 403 | the same with `error="insufficient_scope"` |
//! | the keys of the authorization server cannot be had | 503 with `Retry-After` | |
//!
//! A client is not told why its token is invalid; the log is, at the level `info`.

mod challenge;
pub mod error;
pub mod future;
mod layer;
#[cfg(feature = "oauth")]
mod oauth;
mod principal;
mod service;
mod token;

pub use self::{layer::AuthLayer, principal::Principal, service::Auth, token::Token};

/// Where the metadata of a protected resource is (RFC 9728, "3. Obtaining Protected Resource Metadata").
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[cfg(feature = "oauth")]
pub use self::oauth::{Algorithm, OAuth};
pub(crate) use self::principal::Mark;
