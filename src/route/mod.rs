//! Calls to pools, by name.
//!
//! A [`Table`] is one immutable snapshot: what every server offers, to which pool each name leads, and the rendered
//! lists that say so. [`Tables`] holds the current one. [`Route`] loads it once per call, so that a call sees one
//! state of the world, and no client is listed a tool which the same snapshot cannot route.
//!
//! ```
//! use tower::{Service, ServiceExt};
//! use tower_mcp_gateway::{BoxError, Call, Method, json::Params, route::{Pool, Route, Table, Tables}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let tables = Tables::new(Table::<Pool>::default());
//! tables.settle();
//! let mut route = Route::new(tables);
//! let call = Call::new(Method::TOOLS_CALL, Params::from_value(&serde_json::json!({"name": "nowhere"}))?);
//! let error = route.ready().await?.call(call).await.unwrap_err();
//! assert_eq!(error.to_string(), "unknown tool: nowhere");
//! # Ok(())
//! # }
//! ```
//!
//! # Which pool
//!
//! | call | by |
//! |---|---|
//! | `tools/call`, `prompts/get` | `name`: as listed, or qualified as `{server}__{name}` |
//! | `resources/read` | `uri`: listed exactly, then the [templates](Template) that match, in order; where one server has no such resource, the next is asked |
//! | `completion/complete` | `ref`: the prompt's name, or the template or URI of the resource |
//! | notifications | taken, and go nowhere |
//! | anything else | −32601 |
//!
//! # Names nobody lists
//!
//! Servers exist whose tools are callable and not listed, so such a name is forwarded where it can only be meant for one
//! server, and never by guess. That one is
//!
//! 1. the only server name there is; else
//! 2. the server that a qualified name `{server}__{name}` names; else
//! 3. the only one that *could* have it: that has declared the capability (`tools`, `prompts`, `resources`), or of which
//!    nothing is known because it was never listed. A server that declared no tools has none.
//!
//! A name that the operator took away ([`Toolset`](crate::toolset::Toolset)) is not forwarded, and where any is taken away no
//! other one is, unless it is [allowed to the letter](crate::toolset#names-the-server-does-not-list): the server may know one
//! tool by several names.
//!
//! Otherwise it waits until every server had its chance at start, is then refused with 503 as long as a server has never
//! been listed, and with −32602 after that.

mod allowance;
mod backend;
mod complete;
pub mod error;
pub mod future;
mod mirror;
mod read;
mod service;
mod table;
mod tables;
mod target;
mod template;
mod templates;
#[cfg(test)]
mod tests;
mod view;

pub use self::{
    backend::{Abilities, Backend},
    service::Route,
    table::Table,
    tables::{Tables, Versions},
    target::Target,
    template::Template,
    view::View,
};

pub(crate) use self::{allowance::Allowance, mirror::Mirror, table::Names, templates::Templates};
use crate::{BoxError, Call, Reply};
use tower::util::BoxCloneSyncService;

/// What stands behind a server name: its replicas, balanced, with what an operator put in front of them.
pub type Pool = BoxCloneSyncService<Call, Reply, BoxError>;
