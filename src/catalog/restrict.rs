use super::{Kind, Merge, Part, Prefixes, Rendered, render};
use crate::{
    json::{
        Json,
        object::{self, Edit},
    },
    policy::Rules,
    route::{Backend, Names, Table, Target},
};
use std::sync::Arc;

impl Merge {
    /// What of `table`, which was made of `parts`, exists for those who are bound by `rules`. Everything in it has the name
    /// that it has for everybody.
    pub(crate) fn restricted<S: Clone>(&self, table: &Table<S>, parts: &[Part<S>], rules: &Arc<Rules>) -> Table<S> {
        let shows = |target: &Target<S>| rules.shows(target.server().as_str());
        let prefixes = Arc::new(Prefixes::of(table.backends.iter().map(|backend| backend.prefix())));
        let tool = |name: &str, target: &Target<S>| {
            let own = target.upstream_name().unwrap_or(name);
            let foreign = prefixes.is_foreign(own, target.backend().prefix());
            rules.admits(target.server().as_str(), (own, foreign), &target.backend().qualified(own))
        };
        let resources = table.resources.iter().filter_map(|(uri, targets)| {
            let targets: Vec<_> = targets.iter().filter(|target| shows(target)).cloned().collect();
            (!targets.is_empty()).then(|| (uri.clone(), targets))
        });
        let backends = table.backends.iter().filter(|backend| rules.shows(backend.server().as_str()));
        let hidden = [
            table.tools.iter().filter(|(name, target)| !tool(name, target)).map(|(name, _)| name.clone()).collect(),
            table.prompts.iter().filter(|(_, target)| !shows(target)).map(|(name, _)| name.clone()).collect(),
        ];
        let mut view = Table {
            hidden,
            tools: kept(&table.tools, tool),
            prompts: kept(&table.prompts, |_, target| shows(target)),
            resources: resources.collect(),
            templates: table.templates.iter().filter(|(_, target)| shows(target)).cloned().collect(),
            backends: backends
                .map(|backend| Arc::new(Backend::clone(backend).bound(rules.clone(), prefixes.clone())))
                .collect(),
            unlisted: table.unlisted.iter().filter(|server| rules.shows(server.as_str())).cloned().collect(),
            notices: Default::default(),
            rendered: table.rendered.clone(),
        };
        let visible: Vec<_> = parts.iter().filter(|part| rules.shows(part.server.as_str())).cloned().collect();
        view.rendered = Rendered {
            lists: Kind::ALL.map(|kind| shown((&view, table), kind, table.rendered.list(kind))),
            early_tools: shown((&view, table), Kind::Tools, table.rendered.early_tools()),
            discover: private(&render::discover(self, &visible), &[]),
        };
        view
    }
}

/// Those of the names that `exists` says are there.
fn kept<S>(named: &Names<Target<S>>, exists: impl Fn(&str, &Target<S>) -> bool) -> Names<Target<S>> {
    named
        .iter()
        .filter(|(name, target)| exists(name, target))
        .map(|(name, target)| (name.clone(), target.clone()))
        .collect()
}

/// A list without what the table does not have.
fn shown<S>((view, table): (&Table<S>, &Table<S>), kind: Kind, list: &Json) -> Json {
    let same = |own: Option<&Target<S>>, all: Option<&Target<S>>| {
        own.is_some() && own.map(Target::server) == all.map(Target::server)
    };
    let all = list.member(kind.member()).and_then(|all| all.elements());
    let mut array = b"[".to_vec();
    for item in all.into_iter().flatten() {
        let key: Option<String> = item.member(kind.key()).and_then(|key| key.read().ok());
        let exists = key.is_some_and(|key| match kind {
            Kind::Tools => view.tool(&key).is_some(),
            Kind::Prompts => view.prompt(&key).is_some(),
            // An item is listed as the first server that lists it has it, which may be a hidden one.
            Kind::Resources => {
                let first = |table: &Table<S>| table.resources.get(&*key).and_then(|targets| targets.first().cloned());
                same(first(view).as_ref(), first(table).as_ref())
            }
            Kind::Templates => same(view.template(&key), table.template(&key)),
        });
        if exists {
            if array.len() > 1 {
                array.push(b',');
            }
            array.extend_from_slice(item.as_bytes());
        }
    }
    array.push(b']');
    private(list, &[Edit::Set(kind.member(), &array)])
}

/// With these edits, and kept by no cache that others share: it is not the same for everybody.
fn private(result: &Json, edits: &[Edit<'_>]) -> Json {
    let mut all = edits.to_vec();
    if result.member("cacheScope").is_some() {
        all.push(Edit::Set("cacheScope", b"\"private\""));
    }
    object::edit(result.as_bytes(), &all).map_or_else(|_| Json::from_static("{}"), Json::trusted)
}
