//! Streams of what changes.
//!
//! A client that calls `subscriptions/listen` gets a reply that does not end: first an acknowledgement that says which
//! of its wishes are honoured, then a note whenever one of the lists changed. [`Subscribe`] makes these replies from the
//! [`Versions`](crate::route::Versions) of the routing table, so that the note goes out after the table that it
//! announces is in place, and one upstream subscription per server serves any number of clients.
//!
//! Subscriptions to single resources go through a [`Hub`]: it finds the server of each URI, and keeps one upstream
//! stream per endpoint for all clients together.
//!
//! # What it costs
//!
//! A stream is a place in one watch channel, and a mark per URI that it listens to. It has no task and no queue: however
//! fast the lists and resources change, a client that reads slowly is told once, of the latest state. It holds no permit of the layers that limit calls, and is
//! bounded in number by its own: see [`SubscribeLayer::max_streams`].
//!
//! ```
//! use futures_util::StreamExt;
//! use tower::{Layer, Service, ServiceExt};
//! use tower_mcp_gateway::{
//!     BoxError, Call, Method, Reply, json::Params, reply::Event,
//!     route::{Route, Table, Tables, Versions}, subscribe::SubscribeLayer,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let tables = Tables::new(Table::default());
//! let mut service = SubscribeLayer::new(tables.versions()).layer(<Route>::new(tables.clone()));
//! let params = Params::from_value(&serde_json::json!({"notifications": {"toolsListChanged": true}}))?;
//! let reply = service.ready().await?.call(Call::new(Method::LISTEN, params)).await?;
//!
//! let mut events = reply.into_events();
//! let Some(Ok(Event::Note(note))) = events.next().await else { panic!("acknowledged first") };
//! assert_eq!(note.params.as_str(), r#"{"notifications":{"toolsListChanged":true}}"#);
//! tables.publish(Table::default(), Versions { tools: 1, ..Versions::default() });
//! let Some(Ok(Event::Note(note))) = events.next().await else { panic!("then told") };
//! assert_eq!(note.method, Method::TOOLS_LIST_CHANGED);
//! # Ok(())
//! # }
//! ```

pub mod future;
mod hub;
mod layer;
mod places;
mod service;
mod shares;
mod stream;
#[cfg(test)]
mod tests;
mod wishes;

pub use self::{
    hub::{Feed, Hub},
    layer::SubscribeLayer,
    service::Subscribe,
};
