use super::{Listing, Naming, draft::Draft};
use crate::{EndpointId, ServerName, identity::Identity, route::Table, toolset::Toolset};
use std::{sync::Arc, time::Duration};

/// One server name with its replicas: what a table is merged from.
///
/// An endpoint keeps its last good listing while it is down, so that health never changes a list. An endpoint that has
/// none yet is named all the same: as long as no endpoint of a server was ever listed, nobody can say that a tool
/// does not exist.
#[derive(Clone, Debug)]
pub struct Part<S> {
    /// The name.
    pub server: ServerName,
    /// Where calls to it go.
    pub pool: S,
    /// Its endpoints in order, with the last good listing of each that was ever listed.
    pub endpoints: Vec<(EndpointId, Option<Arc<Listing>>)>,
    /// What the operator says of its tools.
    pub toolset: Arc<Toolset>,
    /// The longest silence of its calls, where that is not the gateway's.
    pub request_timeout: Option<Duration>,
}

impl<S> Part<S> {
    /// A server without endpoints.
    pub fn new(server: impl Into<ServerName>, pool: S) -> Self {
        let (server, endpoints, toolset) = (server.into(), Vec::new(), Arc::default());
        Self { server, pool, endpoints, toolset, request_timeout: None }
    }

    /// With an endpoint that offers this.
    #[must_use]
    pub fn listed(mut self, endpoint: impl Into<EndpointId>, listing: Arc<Listing>) -> Self {
        self.endpoints.push((endpoint.into(), Some(listing)));
        self
    }

    /// With what the operator says of its tools.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_mcp_gateway::{Glob, catalog::{Kind, Listing, Merge, Part}, json::Json, toolset::Toolset};
    ///
    /// let listing = Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"read"},{"name":"write"}]"#));
    /// let reads = Toolset::default().allow([Glob::new("read*")]);
    /// let part = Part::new("files", ()).listed("files-1", Arc::new(listing)).tools(Arc::new(reads));
    /// let table = Merge::new("platform", "1.0.0").table(&[part], None);
    /// assert!(table.tool("read").is_some() && table.tool("write").is_none());
    /// ```
    #[must_use]
    pub fn tools(mut self, toolset: Arc<Toolset>) -> Self {
        self.toolset = toolset;
        self
    }

    /// With an endpoint that has never been listed.
    #[must_use]
    pub fn unlisted(mut self, endpoint: impl Into<EndpointId>) -> Self {
        self.endpoints.push((endpoint.into(), None));
        self
    }

    /// What its endpoints offer, in order, those never listed left out.
    pub(super) fn listings(&self) -> impl Iterator<Item = (&EndpointId, &Listing)> {
        self.endpoints.iter().filter_map(|(endpoint, listing)| Some((endpoint, &**listing.as_ref()?)))
    }
}

/// Makes a [`Table`] of what all servers list: who it speaks as, and how it names things.
///
/// The result depends on its arguments alone, so gateways of one configuration agree about every name.
///
/// ```
/// use std::sync::Arc;
/// use tower_mcp_gateway::{catalog::{Kind, Listing, Merge, Naming, Part}, json::Json};
///
/// let listing = Listing::default().with(Kind::Tools, Json::from_static(r#"[{"name":"search"}]"#));
/// let part = Part::new("docs", ()).listed("docs-1", Arc::new(listing));
/// let table = Merge::new("platform", "1.0.0").naming(Naming::Prefixed).table(&[part], None);
/// assert!(table.tool("docs__search").is_some() && table.tool("search").is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Merge {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
    pub(super) naming: Naming,
    pub(super) identity: Identity,
}

impl Merge {
    /// Speaks as `name` and `version` (`serverInfo`), with [`Naming::Auto`].
    pub fn new(name: impl Into<Box<str>>, version: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), version: version.into(), naming: Naming::default(), identity: Identity::default() }
    }

    /// With this naming.
    #[must_use]
    pub fn naming(mut self, naming: Naming) -> Self {
        self.naming = naming;
        self
    }

    /// As this gateway.
    pub(crate) fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// The table of these servers, in this order; endpoints of one server offer the union of what each lists.
    ///
    /// Of the `previous` table it takes over the turn counters of everything whose providers are the same, so that
    /// round-robin goes on where it was. What an operator should know is in [`Table::notices`], and is logged unless
    /// the previous table had it too.
    pub fn table<S: Clone>(&self, parts: &[Part<S>], previous: Option<&Table<S>>) -> Table<S> {
        Draft::new(self, parts, previous).finish()
    }
}
