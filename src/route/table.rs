use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use tokio::sync::watch;

/// The current routing table, read with one atomic load and replaced as a whole.
#[derive(Debug)]
pub struct Tables<T> {
    current: ArcSwap<T>,
    versions: watch::Sender<Versions>,
}

/// What of a table has changed how often; told after the table that shows the change is in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Changes of the list of tools.
    pub tools: u64,
    /// Changes of the list of prompts.
    pub prompts: u64,
    /// Changes of the lists of resources and of resource templates.
    pub resources: u64,
    /// Whether every server configured at start has answered or failed once, or their time was up.
    pub settled: bool,
}

impl<T> Tables<T> {
    /// Starts with `table`.
    pub fn new(table: T) -> Arc<Self> {
        Arc::new(Self { current: ArcSwap::from_pointee(table), versions: watch::Sender::default() })
    }

    /// The current table.
    pub fn load(&self) -> Guard<Arc<T>> {
        self.current.load()
    }

    /// Puts `table` in place, then tells of the change.
    pub fn publish(&self, table: T, versions: Versions) {
        self.current.store(Arc::new(table));
        self.versions.send_replace(versions);
    }

    /// The versions, now and whenever they change.
    pub fn versions(&self) -> watch::Receiver<Versions> {
        self.versions.subscribe()
    }
}
