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
//! # What is refused, in this order
//!
//! | condition | status | code |
//! |---|---|---|
//! | another method than POST (with sessions: GET and DELETE without one) | 405 | 405 |
//! | a body that is not `application/json` | 415 | 415 |
//! | `Accept` names neither JSON nor an event stream | 406 | 406 |
//! | a body above the limit, by its announced length or while it arrives | 413 | −32600 |
//! | a body that is not JSON; that is no JSON-RPC message | 400 | −32700; −32600 |
//! | no `MCP-Protocol-Version` header, or not the version of `_meta` | 400 | −32020 |
//! | no version in `_meta` | 400 | −32602 |
//! | a version that is not supported | 400 | −32022 with `supported` and `requested` |
//! | `Mcp-Method` or `Mcp-Name` missing, twice, unreadable or not what the body says | 400 | −32020 |
//! | no client capabilities in `_meta` | 400 | −32602 |
//! | a request that only earlier revisions have | 404 | −32601 |
//!
//! Each answer carries the request's id where that could be read. Whether a method exists at all is not asked here,
//! because extensions bring methods of their own.
//!
//! # How a reply is written
//!
//! The head of the response waits for the first message, since that decides both its status and its type: an outcome
//! becomes `application/json`, with 404 or 400 where its error code asks for one; a note opens an event stream. After
//! ten seconds of silence the head goes out as a stream, with comments until something is said. A failure after the
//! head is the answer in the stream. Results get the members that 2026-07-28 demands and their server left out.
//!
//! Dropping the response cancels the call. That of an earlier client goes on in its session, where its notification,
//! DELETE, or a deadline behind the edge ends it. Its stream carries event ids, so a client that comes back with
//! `Last-Event-ID` reads on where it was.
//!
//! # Sessions
//!
//! A session's id is a sealed token that holds what the client told in `initialize`, so a request finds its session
//! after a restart, on another edge with the same [`keys`](EdgeLayer::keys), or after the session was taken out of
//! memory for being idle. It ends with DELETE or after 24 hours; a forged, foreign, expired or ended id is 404, all
//! alike. Log level, subscriptions and messages that were kept are lost with the memory.
//!
//! What servers ask in the middle of a call goes to such a client as a request on the stream of that call, and is
//! answered by any POST of the session. A result of 2026-07-28 that asks for input becomes such requests as well, and
//! the call is made again with the answers.
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | a request's body | [`max_request_bytes`](EdgeLayer::max_request_bytes) | 413 |
//! | sessions | [`max_sessions`](EdgeLayer::max_sessions) | 503 with `Retry-After` |
//! | calls in flight of one session | 256 | 503 with `Retry-After` |
//! | messages in a batch of 2025-03-26 | 64 | 400 |
//! | what a client tells about itself in `initialize` | 8 KiB | −32602 |
//! | questions a client has not answered, per session | 256 | refused |
//! | rounds of `input_required` for one call of an earlier client | 10, of 64 questions and 5 minutes each | 502, 504 |
//! | resources one session subscribes to | 256 | 503 |
//! | messages kept for broken connections | 256 and 4 MiB per session, 64 MiB in all | the oldest are forgotten, of whichever session |
//! | sessions ended by DELETE that are remembered | 65,536 | the one nearest to its end is forgotten |
//! | messages that an HTTP+SSE client has not read | 64, and one for each call in flight | its calls wait |
//!
//! # Example
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
mod begun;
mod body;
mod error;
pub mod future;
mod gather;
mod headers;
mod incoming;
mod layer;
#[cfg(feature = "legacy")]
mod legacy;
mod media;
mod message;
mod modern;
#[cfg(any(feature = "legacy", feature = "stdio"))]
mod outbox;
mod parts;
mod patience;
mod running;
mod service;
#[cfg(feature = "stdio")]
mod stdio;
mod stream;
mod uploads;
mod writer;

pub use self::{body::Body, layer::EdgeLayer, parts::Broken, service::Edge};
