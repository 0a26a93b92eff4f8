use crate::{
    EndpointId,
    route::{Table, Tables},
};
use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// What a listener sees: the tables of its [view](crate::route::View), or those of everybody.
///
/// A URI leads to a server only as far as the listener sees that server, so listeners of one URI are together only where
/// they see the same.
#[derive(Clone)]
pub(super) struct Sight(Arc<Tables<Table>>);

impl Sight {
    pub(super) const fn new(tables: Arc<Tables<Table>>) -> Self {
        Self(tables)
    }

    /// The endpoints that can tell of the URI, in the order in which they are to be asked.
    pub(super) fn watchers(&self, uri: &str) -> Vec<EndpointId> {
        self.0.load().watchers(uri)
    }

    /// Whether a URI that nobody can tell of now may have a watcher soon.
    pub(super) fn is_starting(&self) -> bool {
        !self.0.is_settled()
    }
}

impl PartialEq for Sight {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Sight {}

impl Hash for Sight {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sight").field(&Arc::as_ptr(&self.0)).finish()
    }
}
