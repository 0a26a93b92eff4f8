use super::Catalog;
use crate::route::{Pool, Table, Tables};
use std::{fmt, sync::Arc};
use tower::Layer;

/// Answers lists and `server/discover` from the current table; see [`Catalog`].
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
