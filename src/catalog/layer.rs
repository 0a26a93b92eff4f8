use super::Catalog;
use crate::route::{Pool, Table, Tables};
use std::{fmt, sync::Arc};
use tower::Layer;

/// Answers lists and `server/discover` from the current table; see [`Catalog`].
///
/// Give it the same tables as [`Route`](crate::route::Route): then what is listed can be called, and `list_changed`
/// goes out when both have changed.
///
/// ```
/// use tower::{Service, ServiceBuilder, ServiceExt};
/// use tower_mcp_gateway::{
///     BoxError, Call, Method, catalog::CatalogLayer, json::Params, route::{Pool, Route, Table, Tables},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let tables = Tables::new(Table::<Pool>::default());
/// tables.settle();
/// let mut stack = ServiceBuilder::new().layer(CatalogLayer::new(tables.clone())).service(Route::new(tables));
/// let reply = stack.ready().await?.call(Call::new(Method::TOOLS_LIST, Params::empty())).await?;
/// let result = reply.as_single().unwrap().result().unwrap();
/// assert_eq!(result.as_str(), r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[]}"#);
/// # Ok(())
/// # }
/// ```
pub struct CatalogLayer<P = Pool> {
    tables: Arc<Tables<Table<P>>>,
}

impl<P> CatalogLayer<P> {
    /// Answers from `tables`: the ones that [`Route`](crate::route::Route) routes by.
    pub const fn new(tables: Arc<Tables<Table<P>>>) -> Self {
        Self { tables }
    }
}

impl<S, P> Layer<S> for CatalogLayer<P> {
    type Service = Catalog<S, P>;

    fn layer(&self, inner: S) -> Catalog<S, P> {
        Catalog::new(inner, self.tables.clone())
    }
}

impl<P> Clone for CatalogLayer<P> {
    fn clone(&self) -> Self {
        Self { tables: self.tables.clone() }
    }
}

impl<P> fmt::Debug for CatalogLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogLayer").finish_non_exhaustive()
    }
}
