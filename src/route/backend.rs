use super::Allowance;
use crate::{
    EndpointId, ServerName,
    catalog::{Kind, Prefixes},
    policy::Rules,
    toolset::Toolset,
};
use std::{fmt, sync::Arc, time::Duration};

/// One server name: its pool, shared by everything the server lists.
///
/// Ten thousand tools of one server are ten thousand targets and one backend: the pool is cloned when a call goes to
/// it, not when a table is made.
///
/// ```
/// use tower_mcp_gateway::route::Backend;
///
/// let backend = Backend::new("web search", ());
/// assert_eq!(backend.prefix(), "web_search");
/// assert_eq!(backend.qualified("find"), "web_search__find");
/// assert_eq!(backend.unqualified("web_search__find"), Some("find"));
/// ```
#[derive(Clone)]
pub struct Backend<S> {
    server: ServerName,
    prefix: Box<str>,
    pool: S,
    abilities: Abilities,
    toolset: Arc<Toolset>,
    allowance: Option<Arc<Allowance>>,
    /// What exists of it for those who see this backend, and what the names of other servers begin with.
    bound: Option<(Arc<Rules>, Arc<Prefixes>)>,
}

/// What the replicas of a server name have declared, each ability as soon as one of them has it.
///
/// A server that was never listed has declared nothing, and so might do anything: see [`unknown`](Self::unknown).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// None of the replicas has ever been listed.
    pub unknown: bool,
    /// It has tools, listed or not.
    pub tools: bool,
    /// It has prompts, listed or not.
    pub prompts: bool,
    /// It has resources, listed or not.
    pub resources: bool,
    /// It completes arguments (`completion/complete`).
    pub completions: bool,
    /// The replicas that tell of changes of single resources (`resources.subscribe`), in order.
    pub subscribers: Box<[EndpointId]>,
}

impl Abilities {
    /// Whether the server may have an item of this kind that it does not list.
    pub const fn could_have(&self, kind: Kind) -> bool {
        let declared = match kind {
            Kind::Tools => self.tools,
            Kind::Prompts => self.prompts,
            Kind::Resources | Kind::Templates => self.resources,
        };
        declared || self.unknown
    }
}

impl<S> Backend<S> {
    /// A server that has declared nothing.
    pub fn new(server: impl Into<ServerName>, pool: S) -> Self {
        let server = server.into();
        let prefix = plain(server.as_str()).into();
        let (abilities, toolset) = (Abilities::default(), Arc::default());
        Self { server, prefix, pool, abilities, toolset, allowance: None, bound: None }
    }

    /// With another prefix, where an earlier server has the same.
    #[must_use]
    pub fn prefixed(mut self, prefix: impl Into<Box<str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// With these abilities.
    #[must_use]
    pub fn able(mut self, abilities: Abilities) -> Self {
        self.abilities = abilities;
        self
    }

    /// With what its operator says of its tools.
    #[must_use]
    pub fn tools(mut self, toolset: Arc<Toolset>) -> Self {
        self.toolset = toolset;
        self
    }

    /// With a longest silence of its own for all calls.
    #[must_use]
    pub fn request_timeout(mut self, silence: Option<Duration>) -> Self {
        self.allowance = Allowance::of_server(silence);
        self
    }

    /// As it is for those who are bound by these rules.
    pub(crate) fn bound(mut self, rules: Arc<Rules>, prefixes: Arc<Prefixes>) -> Self {
        self.bound = Some((rules, prefixes));
        self
    }

    /// What its operator says of its tools.
    pub fn toolset(&self) -> &Toolset {
        &self.toolset
    }

    pub(crate) fn allowance(&self) -> Option<&Arc<Allowance>> {
        self.allowance.as_ref()
    }

    /// Whether an item that it does not list may be asked of it under this name.
    pub(crate) fn may_have(&self, kind: Kind, name: &str) -> bool {
        let bound = || match &self.bound {
            Some((rules, prefixes)) => {
                let foreign = prefixes.is_foreign(name, &self.prefix);
                rules.reaches(self.server.as_str(), (name, foreign), &self.qualified(name))
            }
            None => true,
        };
        kind != Kind::Tools || self.toolset.reaches(name) && bound()
    }

    /// The name its replicas share.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// What stands before `__` in its qualified names: the server's name in the characters that names may have.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The replicas.
    pub fn pool(&self) -> &S {
        &self.pool
    }

    /// What it can do.
    pub fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// The name that `name` of this server has wherever servers must be told apart.
    pub fn qualified(&self, name: &str) -> String {
        format!("{}__{name}", self.prefix)
    }

    /// What is qualified in `name`, if it is a qualified name of this server.
    pub fn unqualified<'a>(&self, name: &'a str) -> Option<&'a str> {
        let bare = name.strip_prefix(&*self.prefix)?.strip_prefix("__")?;
        (!bare.is_empty()).then_some(bare)
    }
}

/// A server's name in the characters that names of tools may have ("server/tools: Tool Names").
fn plain(server: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    server.chars().map(allowed).collect()
}

impl<S> fmt::Debug for Backend<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("server", &self.server).finish_non_exhaustive()
    }
}
