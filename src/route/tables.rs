use super::Table;
use crate::catalog::{Kind, Rendered};
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use tokio::sync::watch;

/// The current routing table, read with one atomic load and replaced as a whole.
///
/// Readers never wait for a writer, and a reader that loaded a table keeps it, whole, as long as it needs it.
///
/// ```
/// use std::sync::Arc;
/// use tower_mcp_gateway::{catalog::{Kind, Listing, Merge, Part}, json::Json, route::{Table, Tables}};
///
/// let listing = Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"read"}]"#));
/// let part = Part::new("files", ()).listed("files-1", Arc::new(listing));
/// let tables = Tables::new(Table::default());
/// let loaded = tables.load_full();
/// tables.replace(Merge::new("platform", "1.0.0").table(&[part], None), true);
/// assert!(tables.load().tool("read").is_some());
/// assert!(loaded.tool("read").is_none(), "who has a table keeps it");
/// ```
#[derive(Debug)]
pub struct Tables<T> {
    current: ArcSwap<T>,
    versions: watch::Sender<Versions>,
}

/// What of a table has changed how often; told after the table that shows the change is in place.
///
/// Who sees a version may ask for the list and gets at least that state: this order is what makes `list_changed` true.
///
/// ```
/// use std::sync::Arc;
/// use tower_mcp_gateway::{catalog::{Kind, Listing, Merge, Part}, json::Json, route::{Table, Versions}};
///
/// let listing = Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"read"}]"#));
/// let part = Part::new("files", ()).listed("files-1", Arc::new(listing));
/// let (before, after) = (Table::<()>::default(), Merge::new("platform", "1.0.0").table(&[part], None));
/// let versions = Versions::default().after(before.rendered(), after.rendered());
/// assert_eq!((versions.tools, versions.prompts, versions.resources), (1, 0, 0));
/// ```
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

impl Versions {
    /// The versions after `new` took the place of `old`: counted up where a list differs, so that clients are told of
    /// changes and of nothing else.
    #[must_use]
    pub fn after(mut self, old: &Rendered, new: &Rendered) -> Self {
        let changed = |kind| u64::from(old.list(kind) != new.list(kind));
        self.tools += changed(Kind::Tools);
        self.prompts += changed(Kind::Prompts);
        self.resources += changed(Kind::Resources).max(changed(Kind::Templates));
        self
    }
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

    /// The current table, for a reader that keeps it over an await.
    pub fn load_full(&self) -> Arc<T> {
        self.current.load_full()
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

    /// Whether every server configured at start has had its chance to be listed.
    pub fn is_settled(&self) -> bool {
        self.versions.borrow().settled
    }

    /// Declares the table settled and leaves everything else as it is; for those who fill it by hand.
    pub fn settle(&self) {
        self.versions.send_modify(|versions| versions.settled = true);
    }

    /// Completes once the table is settled.
    pub async fn settled(&self) {
        // An error would mean that the sender is gone, and it is a field of `self`.
        let _ = self.versions.subscribe().wait_for(|versions| versions.settled).await;
    }
}

impl<S> Tables<Table<S>> {
    /// Puts `table` in place and tells of the lists that differ from the last one's; settles the tables for good once
    /// `settled` was said. For one writer: two at once could lose a change.
    ///
    /// ```
    /// use tower_mcp_gateway::route::{Pool, Table, Tables};
    ///
    /// let tables = Tables::new(Table::<Pool>::default());
    /// tables.replace(Table::default(), true);
    /// let versions = *tables.versions().borrow();
    /// assert!(versions.settled && versions.tools == 0);
    /// ```
    pub fn replace(&self, table: Table<S>, settled: bool) {
        self.replace_and_tell(table, settled, &[]);
    }

    /// Does the same, and tells of these lists even if they do not differ: their server has said that they changed, and
    /// may mean what only its own clients see.
    pub fn replace_and_tell(&self, table: Table<S>, settled: bool, told: &[Kind]) {
        let before = *self.versions.borrow();
        let mut versions = before.after(self.load().rendered(), table.rendered());
        for kind in told {
            match kind {
                Kind::Tools => versions.tools = before.tools + 1,
                Kind::Prompts => versions.prompts = before.prompts + 1,
                Kind::Resources | Kind::Templates => versions.resources = before.resources + 1,
            }
        }
        versions.settled |= settled;
        self.publish(table, versions);
    }
}
