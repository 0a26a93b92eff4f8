use super::{Backend, Pool, Target, templates::Templates};
use crate::{
    EndpointId, ServerName,
    catalog::{Kind, Merge, Notice, Rendered},
};
use ahash::RandomState;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

/// What is found by a name or a URI: by each call, so with a hash that is cheap.
pub(crate) type Names<T> = HashMap<Box<str>, T, RandomState>;

/// One snapshot of what all servers offer: where each name leads, and the lists that show it.
///
/// [`Merge`] makes tables from what servers list. A lookup by name or URI costs one hash, however much is listed; only
/// a URI that may come from a template is held against each of them, with a bound for [each server](Self::resource).
///
/// ```
/// use std::sync::Arc;
/// use tower_mcp_gateway::{catalog::{Kind, Listing, Merge, Part}, json::Json};
///
/// let templates = Listing::default().with(Kind::Templates, Json::from_static(r#"[{"uriTemplate":"file:///{path}"}]"#));
/// let exact = Listing::default().with(Kind::Resources, Json::from_static(r#"[{"uri":"file:///notes.txt"}]"#));
/// let parts = [
///     Part::new("files", ()).listed("files-1", Arc::new(templates)),
///     Part::new("notes", ()).listed("notes-1", Arc::new(exact)),
/// ];
/// let table = Merge::new("platform", "1.0.0").table(&parts, None);
/// let asked = |uri| table.resource(uri).iter().map(|target| target.server().as_str()).collect::<Vec<_>>();
/// assert_eq!(asked("file:///notes.txt"), ["notes", "files"]);
/// assert_eq!(asked("file:///other.txt"), ["files"]);
/// ```
pub struct Table<S = Pool> {
    pub(crate) tools: Names<Target<S>>,
    pub(crate) prompts: Names<Target<S>>,
    /// All servers that list the URI, in order.
    pub(crate) resources: Names<Vec<Target<S>>>,
    pub(crate) templates: Templates<S>,
    pub(crate) backends: Vec<Arc<Backend<S>>>,
    /// Servers of which no endpoint has ever been listed.
    pub(crate) unlisted: Vec<ServerName>,
    /// Tools and prompts of others: names that exist and lead nowhere for those who see this table.
    pub(crate) hidden: [HashSet<Box<str>>; 2],
    pub(crate) notices: BTreeSet<Notice>,
    pub(crate) rendered: Rendered,
}

impl<S> Table<S> {
    /// The tool clients call by `name`, as listed or as `{server}__{tool}`.
    pub fn tool(&self, name: &str) -> Option<&Target<S>> {
        self.tools.get(name)
    }

    /// The prompt clients get by `name`, as listed or as `{server}__{prompt}`.
    pub fn prompt(&self, name: &str) -> Option<&Target<S>> {
        self.prompts.get(name)
    }

    /// Who may have the resource, in the order in which they are asked: those that list the URI, then those with a
    /// template that it matches; each server once, and at most eight.
    ///
    /// What of a server's templates cannot be held against the URI in a quarter of a millisecond or so matches nothing.
    pub fn resource(&self, uri: &str) -> Vec<&Target<S>> {
        let exact: &[Target<S>] = self.resources.get(uri).map_or(&[], |targets| targets);
        let lists = |target: &Target<S>| exact.iter().any(|other| other.server() == target.server());
        exact.iter().chain(self.templates.matching(uri, lists)).take(super::read::MAX_SERVERS).collect()
    }

    /// Whose resource template this is, by its text.
    pub fn template(&self, text: &str) -> Option<&Target<S>> {
        self.templates.get(text)
    }

    /// The one server that a name which nobody lists can be meant for; see the [module](super#names-nobody-lists).
    pub fn unlisted_of(&self, kind: Kind) -> Option<&Arc<Backend<S>>> {
        let could = |backend: &&Arc<Backend<S>>| self.is_only(backend) || backend.abilities().could_have(kind);
        let mut able = self.backends.iter().filter(could);
        able.next().filter(|_| able.next().is_none())
    }

    /// Whether a name is somebody's whom this table does not show.
    pub(super) fn hides(&self, kind: Kind, name: &str) -> bool {
        let [tools, prompts] = &self.hidden;
        if kind == Kind::Tools { tools.contains(name) } else { prompts.contains(name) }
    }

    /// Whether a server that comes before the target's, and so has the first claim to a name of both, was never listed.
    /// A name with the server's prefix is nobody else's.
    pub(super) fn may_be_of_another(&self, target: &Target<S>, name: &str) -> bool {
        if self.unlisted.is_empty() || target.backend().unqualified(name).is_some() {
            return false;
        }
        let before = self.backends.iter().take_while(|backend| backend.server() != target.server());
        before.into_iter().any(|backend| self.unlisted.contains(backend.server()))
    }

    /// Whether there is no other server.
    pub(super) fn is_only(&self, backend: &Arc<Backend<S>>) -> bool {
        self.backends.len() == 1 && Arc::ptr_eq(&self.backends[0], backend)
    }

    /// The endpoints that can tell of changes of a resource, in the order in which they are to be asked.
    ///
    /// They are those of the servers a read would go to. Where the URI is listed, the first server that lists it is the
    /// only one: to be told of another's resource of the same URI would be worse than to be told nothing.
    pub fn watchers(&self, uri: &str) -> Vec<EndpointId> {
        let targets = match self.resources.get(uri).and_then(|targets| targets.first()) {
            Some(first) => vec![first.clone()],
            None => self.resource(uri).into_iter().cloned().collect(),
        };
        let unlisted = || self.unlisted_of(Kind::Resources).cloned().map(Target::new);
        let targets = if targets.is_empty() { unlisted().into_iter().collect() } else { targets };
        let mut endpoints = Vec::new();
        for target in targets {
            let lists = |id: &EndpointId| target.providers_of().is_none_or(|providers| providers.contains(id));
            let subscribers = target.backend().abilities().subscribers.iter();
            endpoints.extend(subscribers.filter(|id| lists(id)).cloned());
        }
        endpoints
    }

    /// Whether any server completes arguments.
    pub fn completes(&self) -> bool {
        self.backends.iter().any(|backend| backend.abilities().completions)
    }

    /// The servers, in order.
    pub fn backends(&self) -> &[Arc<Backend<S>>] {
        &self.backends
    }

    /// The servers that have never been listed, so that nobody knows what they offer.
    pub fn unlisted(&self) -> &[ServerName] {
        &self.unlisted
    }

    /// The lists and `server/discover`, as clients get them.
    pub fn rendered(&self) -> &Rendered {
        &self.rendered
    }

    /// What an operator should know about how names were merged.
    pub fn notices(&self) -> &BTreeSet<Notice> {
        &self.notices
    }
}

impl<S: Clone> Default for Table<S> {
    /// A table of no servers, under this crate's name and version.
    fn default() -> Self {
        Merge::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")).table(&[], None)
    }
}

impl<S> fmt::Debug for Table<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = f.debug_struct("Table");
        table.field("backends", &self.backends).field("tools", &self.tools.len()).field("prompts", &self.prompts.len());
        table.field("resources", &self.resources.len()).field("templates", &self.templates.len());
        table.finish_non_exhaustive()
    }
}
