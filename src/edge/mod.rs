//! HTTP in, calls out: the layer that ends HTTP and everything a client's hop adds to a message.
//!
//! [`Edge`] takes an [`http::Request`] with any body, reads the message under a limit, checks it against its headers,
//! and hands the service behind a [`Call`](crate::Call). It writes the [`Reply`](crate::Reply) as a JSON body or as an
//! event stream, whichever the reply needs. Ids, session ids and subscription ids live here and nowhere behind.
//!
//! A request of revision 2026-07-28 stands for itself. With the feature `legacy` the clients that open with
//! `initialize` are served at the same path, in sessions, and those of HTTP+SSE at the paths that end in `/sse`.
//! Which era a POST is of is told by the version in its `_meta` or its header, never by its method alone.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, StatusCode};
//! use http_body_util::{BodyExt, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mcp_gateway::{BoxError, Call, Reply, edge::EdgeLayer, json::Json, reply::Outcome};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let service = ServiceBuilder::new()
//!     .layer(EdgeLayer::new())
//!     .service(service_fn(|call: Call| async move {
//!         assert_eq!(call.params.name().as_deref(), Some("search"));
//!         Ok::<_, BoxError>(Reply::single(Outcome::Result(Json::from_static(r#"{"content":[]}"#))))
//!     }));
//!
//! let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","_meta":{
//!     "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
//! let request = Request::post("/mcp")
//!     .header("content-type", "application/json")
//!     .header("mcp-protocol-version", "2026-07-28")
//!     .header("mcp-method", "tools/call")
//!     .header("mcp-name", "search")
//!     .body(Full::<Bytes>::from(body))?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! let body = response.into_body().collect().await?.to_bytes();
//! assert_eq!(body, r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[]}}"#);
//! # Ok(()) }
//! ```

mod answer;
mod body;
mod error;
pub mod future;
mod headers;
mod incoming;
mod layer;
#[cfg(feature = "legacy")]
mod legacy;
mod modern;
mod running;
mod service;
mod writer;

pub use self::{body::Body, headers::ParamHeaders, layer::EdgeLayer, service::Edge};
