use super::quota::{Account, Accounts};
use crate::{
    Glob,
    auth::Principal,
    catalog::{Item, Merge},
    rate,
    route::{Pool, Table, Tables, View},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What its principals see and may call, and how much each of them may do; clones are the same policy.
///
/// Patterns of tools are over the name that the server uses, or that name behind the server's, as in `files__read_*`. Prompts,
/// resources and templates go with their server. Where tools are denied, none that its server does not list is called, unless
/// [`tools`](Self::tools) has its name to the letter: it may be another name of a denied one.
///
/// ```
/// use tower_mcp_gateway::{Glob, policy::Policy};
///
/// let readers = Policy::new("readers")
///     .servers([Glob::new("files"), Glob::new("search")])
///     .tools([Glob::new("read_*"), Glob::new("search")])
///     .rate("60/min".parse()?)
///     .max_in_flight(10);
/// # Ok::<(), tower_mcp_gateway::rate::error::InvalidQuota>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    rules: Arc<Rules>,
    view: View<Pool>,
    accounts: Arc<Accounts>,
    /// Whether somebody fills the table of the view, or has been found not to.
    cared_for: Arc<AtomicBool>,
}

/// What is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    name: Box<str>,
    servers: Option<Vec<Glob>>,
    tools: Option<Vec<Glob>>,
    deny: Vec<Glob>,
    pub(super) quota: Option<rate::Quota>,
    pub(super) max_in_flight: Option<usize>,
}

impl Rules {
    /// Whether a server, and what it has beside tools, exists.
    pub(crate) fn shows(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(server)))
    }

    /// Whether a tool of a server exists: by its own name, or by its qualified one.
    ///
    /// An own name that is `foreign` reads as the qualified one of another server. What is said of that allows nothing here,
    /// or a server could name itself into what others may do.
    pub(crate) fn admits(&self, server: &str, (tool, foreign): (&str, bool), qualified: &str) -> bool {
        let is_meant = |one: &Glob| one.matches(qualified) || !foreign && one.matches(tool);
        let allows = |patterns: &[Glob]| patterns.iter().any(is_meant);
        let denies = |one: &Glob| one.matches(tool) || one.matches(qualified);
        self.shows(server) && self.tools.as_deref().is_none_or(allows) && !self.deny.iter().any(denies)
    }

    /// Whether a tool may be asked of a server that does not list it. Where some are denied, such a name may be another one of
    /// theirs, so it has to be among `tools` to the letter. No pattern is held against a name that is too long to be a tool's.
    pub(crate) fn reaches(&self, server: &str, (tool, foreign): (&str, bool), qualified: &str) -> bool {
        if self.tools.is_none() && self.deny.is_empty() {
            return self.shows(server);
        }
        let is_named =
            |patterns: &[Glob]| Glob::any_is(patterns, qualified) || !foreign && Glob::any_is(patterns, tool);
        tool.len() <= Item::MAX_NAME
            && (self.deny.is_empty() || self.tools.as_deref().is_some_and(is_named))
            && self.admits(server, (tool, foreign), qualified)
    }
}

impl Policy {
    /// A policy without restrictions; the name is for people.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self::of(Rules { name: name.into(), ..Rules::default() })
    }

    /// For whom nobody has said anything.
    pub(super) fn nothing() -> Self {
        Self::new("nothing").servers([])
    }

    fn of(rules: Rules) -> Self {
        let accounts = Arc::new(Accounts::new(rules.quota, rules.max_in_flight));
        let nothing = Merge::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")).table(&[], None);
        let view = View::new(Tables::<Table>::new(nothing));
        // There is nothing to wait for, whoever fills it.
        let is_nothing = rules.servers.as_ref().is_some_and(Vec::is_empty);
        if is_nothing {
            view.tables().settle();
        }
        Self { rules: Arc::new(rules), view, accounts, cared_for: Arc::new(is_nothing.into()) }
    }

    fn with(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules::clone(&self.rules);
        change(&mut rules);
        Self::of(rules)
    }

    /// Only servers whose name one of these matches.
    #[must_use]
    pub fn servers(self, patterns: impl IntoIterator<Item = Glob>) -> Self {
        self.with(|rules| rules.servers = Some(patterns.into_iter().collect()))
    }

    /// Only tools that one of these matches.
    #[must_use]
    pub fn tools(self, patterns: impl IntoIterator<Item = Glob>) -> Self {
        self.with(|rules| rules.tools = Some(patterns.into_iter().collect()))
    }

    /// No tool that one of these matches, also where it is allowed.
    #[must_use]
    pub fn deny(self, patterns: impl IntoIterator<Item = Glob>) -> Self {
        self.with(|rules| rules.deny = patterns.into_iter().collect())
    }

    /// So many requests of each principal in a time; one more gets 429.
    #[must_use]
    pub fn rate(self, quota: rate::Quota) -> Self {
        self.with(|rules| rules.quota = Some(quota))
    }

    /// So many calls of each principal at once; one more gets 429.
    #[must_use]
    pub fn max_in_flight(self, calls: usize) -> Self {
        self.with(|rules| rules.max_in_flight = Some(calls))
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The table of what its principals see, to fill.
    pub(crate) fn view(&self) -> &View<Pool> {
        &self.view
    }

    /// Says that the table will be filled.
    pub(crate) fn keep(&self) {
        self.cared_for.store(true, Ordering::Relaxed);
    }

    /// The table of what its principals see, for one of them. Where no registry fills it they see nothing, and are not left
    /// to wait for it either.
    pub(super) fn shown(&self) -> &View<Pool> {
        if !self.cared_for.load(Ordering::Relaxed) && !self.cared_for.swap(true, Ordering::Relaxed) {
            tracing::error!(
                policy = &*self.rules.name,
                "no registry was built with this policy, so its principals see nothing: give it to `Builder::policies`"
            );
            self.view.tables().settle();
        }
        &self.view
    }

    /// What one principal has used of it; `None` if nothing is counted.
    pub(crate) fn account(&self, principal: &Principal) -> Option<Account> {
        self.accounts.of(principal)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_tools_are_denied_only_names_that_are_there_to_the_letter_reach_unlisted_ones() {
        let globs = |patterns: &[&str]| patterns.iter().map(|pattern| Glob::new(*pattern)).collect::<Vec<_>>();
        let reaches =
            |policy: &Policy, tool: &str| policy.rules.reaches("inner", (tool, false), &format!("inner__{tool}"));
        let denied = Policy::new("denied").deny(globs(&["delete_*"]));
        let named = denied.clone().tools(globs(&["*", "unlisted", "inner__hers"]));
        for name in ["delete_file", "files__delete_file", "inner__files__delete_file", "other"] {
            assert!(!reaches(&denied, name) && !reaches(&named, name), "{name}");
        }
        assert!(reaches(&named, "unlisted") && reaches(&named, "hers") && !reaches(&denied, "unlisted"));
        assert!(!reaches(&named.deny(globs(&["inner__unlisted"])), "unlisted"), "`deny` wins");
        assert!(reaches(&Policy::new("all"), "other"));
        assert!(!reaches(&Policy::new("readers").tools(globs(&["read_*"])), "files__read_file"));
        let (any, long) = (Policy::new("any").tools(globs(&["*"])), "_".repeat(Item::MAX_NAME));
        assert!(reaches(&any, &long) && !reaches(&any, &(long + "_")));
    }
}
