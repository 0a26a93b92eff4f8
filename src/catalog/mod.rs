//! Lists, merged over all servers and answered here.
//!
//! A gateway that asked every server for each `tools/list` would be as slow as its slowest server and as empty as its
//! latest failure. So lists are fetched beforehand, one [`Refresh`] per endpoint, which also follows the server's own
//! word that they changed; [`Merge`] makes one [`Table`](crate::route::Table) of them all, with the rendered
//! answers in it; and [`Catalog`] answers with those bytes. A server that is down or slow delays nothing: its last
//! good [`Listing`] stands until it is unregistered.
//!
//! ```
//! use std::sync::Arc;
//! use tower_mcp_gateway::{
//!     catalog::{Kind, Listing, Merge, Part},
//!     json::Json,
//!     route::Table,
//! };
//!
//! let listing = |tools| Arc::new(Listing::default().with(Kind::Tools, Json::from_static(tools)));
//! let search = listing(r#"[{"name":"search","inputSchema":{"type":"object"}}]"#);
//! let files = listing(r#"[{"name":"read_file"},{"name":"search"}]"#);
//! let parts = [
//!     Part::new("search", ()).listed("search-1", search.clone()).listed("search-2", search),
//!     Part::new("files", ()).listed("files-1", files),
//! ];
//! let table: Table<()> = Merge::new("platform", "1.0.0").table(&parts, None);
//! assert_eq!(
//!     table.rendered().list(Kind::Tools).member("tools").unwrap().as_str(),
//!     r#"[{"name":"search","inputSchema":{"type":"object"}},{"name":"read_file"},{"name":"files__search"}]"#,
//! );
//! assert_eq!(table.tool("files__search").unwrap().upstream_name(), Some("search"));
//! assert_eq!(table.tool("search").unwrap().providers_of().unwrap().endpoints().len(), 2);
//! ```
//!
//! # Names
//!
//! Servers come in the order given, and so do their items. Where two servers have one name, the first keeps it, and
//! the later ones get theirs with the server's name in front: `{server}__{name}`. That form is accepted for every
//! item, and it belongs to its server: a name that begins with *another* server's prefix is itself prefixed, so that
//! no server can take calls meant for its neighbour. [`Naming::Prefixed`] puts it in front of all.
//!
//! The APIs of models take names of tools up to 64 characters. A longer one, be it the server's own or a qualified one,
//! is listed as its beginning and a digest of all of it, the same in every gateway and after every start; a call may
//! use either. Prompts are called by people and keep their names.
//!
//! # Tools that are left out
//!
//! Two kinds do not appear, each with a [`Notice`]: those that can only be called as a task, and those of HTTP servers
//! whose `x-mcp-header` annotations are invalid, which a client of 2026-07-28 must leave out ("server/tools"). Nor does
//! any item whose name or URI is longer than [`Item::MAX_NAME`] or [`Item::MAX_URI`]; the log says how many there were.
//!
//! URIs are identities that occur in results as well, so they are never changed: the first server keeps a URI, and
//! reads go on to the next where it has no such resource.

mod draft;
pub mod error;
mod fetch;
pub mod future;
mod headers;
mod layer;
mod listen;
mod listing;
mod merge;
mod naming;
mod notice;
mod refresh;
mod render;
mod restrict;
mod service;
#[cfg(test)]
mod tests;
mod vouch;

pub(crate) use self::naming::Prefixes;
pub use self::{
    fetch::{Terms, fetch},
    layer::CatalogLayer,
    listing::{Freshness, Item, Kind, List, Listing},
    merge::{Merge, Part},
    naming::Naming,
    notice::Notice,
    refresh::{Refresh, Update},
    render::Rendered,
    service::Catalog,
};
