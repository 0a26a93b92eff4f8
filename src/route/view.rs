use super::{Pool, Table, Tables};
use http::Extensions;
use std::{fmt, sync::Arc};

/// The tables that one class of callers sees, in the extensions of their calls: [`Catalog`](crate::catalog::Catalog),
/// [`Subscribe`](crate::subscribe::Subscribe) and [`Route`](super::Route) use them in place of their own.
///
/// What a caller must not know of is missing from its table, so it is neither listed nor found, and no layer has to ask.
/// [`Policy`](crate::policy::Policy) makes views by rules; a layer of your own makes them by hand:
///
/// ```
/// use std::sync::Arc;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Method, Reply, json::{Json, Params}, route::{Table, Tables, View}};
/// use tower_mcp_gateway::catalog::{CatalogLayer, Kind, Listing, Merge, Part};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let listing = Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"read"}]"#));
/// let part = Part::new("files", ()).listed("files-1", Arc::new(listing));
/// let all = Tables::new(Merge::new("platform", "1.0.0").table(&[part], None));
/// let none = View::new(Tables::new(Table::<()>::default()));
/// all.settle();
/// none.tables().settle();
/// let catalog = CatalogLayer::new(all).layer(service_fn(async |_: Call| Err::<Reply, BoxError>("not asked".into())));
/// let list = Call::new(Method::TOOLS_LIST, Params::empty());
/// let tools = async |list| {
///     let outcome = catalog.clone().oneshot(list).await?.outcome().await?;
///     Ok::<_, BoxError>(outcome.result().and_then(|result| result.member("tools")))
/// };
/// assert_eq!(tools(list.clone()).await?.unwrap().as_str(), r#"[{"name":"read"}]"#);
/// let list = list.with(|asked| drop(asked.extensions.insert(none)));
/// assert_eq!(tools(list).await?.unwrap().as_str(), "[]");
/// # Ok(()) }
/// ```
pub struct View<S = Pool>(Arc<Tables<Table<S>>>);

impl<S: Send + Sync + 'static> View<S> {
    /// A view of these.
    pub const fn new(tables: Arc<Tables<Table<S>>>) -> Self {
        Self(tables)
    }

    /// The tables.
    pub const fn tables(&self) -> &Arc<Tables<Table<S>>> {
        &self.0
    }

    /// The tables that a call sees: those of its view, or `all`.
    pub(crate) fn of<'a>(extensions: &'a Extensions, all: &'a Arc<Tables<Table<S>>>) -> &'a Arc<Tables<Table<S>>> {
        extensions.get::<Self>().map_or(all, |view| &view.0)
    }
}

impl<S> Clone for View<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for View<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}
