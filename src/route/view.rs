use super::{Pool, Table, Tables};
use http::Extensions;
use std::{fmt, sync::Arc};

/// The tables that one class of callers sees, in the extensions of their calls: [`Catalog`](crate::catalog::Catalog),
/// [`Subscribe`](crate::subscribe::Subscribe) and [`Route`](super::Route) use them in place of their own.
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
