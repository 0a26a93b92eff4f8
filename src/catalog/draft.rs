use super::{
    Item, Kind, Merge, Naming, Notice, Part, Prefixes, Rendered,
    naming::short,
    render::{self, Array},
};
use crate::{
    EndpointId, Providers, ServerName,
    json::{
        Json,
        object::{self, Edit},
        write,
    },
    route::{Abilities, Allowance, Backend, Names, Table, Target, Template, Templates},
    toolset::ToolSettings,
};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// The most notices logged of one merge: two servers may share ten thousand names, and the first of them tell as much.
const MAX_LOGGED: usize = 50;

/// A table in the making.
pub(super) struct Draft<'a, S> {
    merge: &'a Merge,
    parts: &'a [Part<S>],
    previous: Option<&'a Table<S>>,
    backends: Vec<Arc<Backend<S>>>,
    prefixes: Prefixes,
    notices: BTreeSet<Notice>,
}

/// An item of a server with the replicas that list it.
struct Offer<'a> {
    item: &'a Item,
    endpoints: Vec<EndpointId>,
}

type Named<S> = Names<Target<S>>;

impl<'a, S: Clone> Draft<'a, S> {
    pub(super) fn new(merge: &'a Merge, parts: &'a [Part<S>], previous: Option<&'a Table<S>>) -> Self {
        let (backends, prefixes) = backends(parts);
        Self { merge, parts, previous, backends, prefixes, notices: BTreeSet::new() }
    }

    pub(super) fn finish(mut self) -> Table<S> {
        let previous = self.previous;
        let (tools, [tools_list, early_tools]) = self.named(Kind::Tools, previous.map(|table| &table.tools));
        let (prompts, [prompts_list, _]) = self.named(Kind::Prompts, previous.map(|table| &table.prompts));
        let (resources, resources_list) = self.resources();
        let (templates, templates_list) = self.templates();
        let lists = [tools_list, prompts_list, resources_list, templates_list];
        let discover = render::discover(self.merge, self.parts);
        self.rejected();
        self.notices.extend(self.parts.iter().flat_map(Part::changes));
        self.idle();
        self.log();
        let unlisted = self.parts.iter().filter(|part| part.listings().next().is_none());
        Table {
            tools,
            prompts,
            resources,
            templates,
            unlisted: unlisted.map(|part| part.server.clone()).collect(),
            backends: self.backends,
            hidden: Default::default(),
            notices: self.notices,
            rendered: Rendered { lists, early_tools, discover },
        }
    }

    /// Tools that never became items.
    fn rejected(&mut self) {
        for part in self.parts {
            for (name, fault) in part.listings().flat_map(|(_, listing)| &listing.rejected) {
                let (server, name) = (part.server.clone(), name.clone());
                self.notices.insert(Notice::InvalidHeader { server, name, fault });
            }
        }
    }

    /// What the operator says of tools that no replica lists.
    fn idle(&mut self) {
        let listed = |part: &&Part<S>| !part.toolset.is_empty() && part.listings().next().is_some();
        for part in self.parts.iter().filter(listed) {
            let tools = part.listings().flat_map(|(_, listing)| &listing.list(Kind::Tools).items);
            let names: Vec<&str> = tools.map(|tool| &*tool.key).collect();
            for (field, pattern) in part.toolset.idle(&names) {
                let server = part.server.clone();
                self.notices.insert(Notice::Idle { server, field, pattern: pattern.clone() });
            }
        }
    }

    /// Says what the previous table did not know.
    fn log(&self) {
        let known = |notice: &&Notice| self.previous.is_some_and(|old| old.notices.contains(*notice));
        let mut new = self.notices.iter().filter(|notice| !known(notice));
        for notice in new.by_ref().take(MAX_LOGGED) {
            tracing::warn!("{notice}");
        }
        match new.count() {
            0 => {}
            more => tracing::warn!("and {more} more names that are changed or hidden"),
        }
    }

    /// Tools and prompts: found by a name that the gateway may change. Gives the list for clients of 2026-07-28, then
    /// that for earlier ones.
    fn named(&mut self, kind: Kind, previous: Option<&Named<S>>) -> (Named<S>, [Json; 2]) {
        let (mut named, mut array) = (Named::default(), Array::new(kind));
        let mut early = array.clone();
        // Names that are accepted beside the listed one; those that are listed come first.
        let mut aliases = Vec::new();
        let mut held = HashSet::new();
        for (part, backend) in self.parts.iter().zip(self.backends.clone()) {
            if kind == Kind::Tools {
                self.hold(part, &backend, &mut held);
            }
            for offer in union(part, kind, &mut array) {
                let name = &offer.item.key;
                let Some(settings) = self.settings(kind, part, offer.item) else { continue };
                let shown = settings.rename.as_ref().unwrap_or(name);
                let is_taken = |name: &str| named.contains_key(name) || held.contains(name);
                let Some(Exposed { full, listed }) = self.expose(kind, is_taken, &backend, shown) else {
                    continue;
                };
                let old = previous.and_then(|old| old.get(&*listed));
                let target = Target::new(backend.clone()).providers(offer.providers(&part.server, old));
                // Clients follow an annotation wherever they see it, whatever era its server is of; one that is invalid
                // they cannot follow, and a server without them does not ask for it.
                let target = match kind {
                    Kind::Tools => {
                        let old = old.filter(|old| *old.server() == part.server).and_then(Target::allowance_of);
                        let allowance = Allowance::of_tool(&settings, backend.allowance(), old);
                        target.mirrors(offer.item.mirrors().unwrap_or_default()).allowance(allowance)
                    }
                    _ => target,
                };
                let item = edited(&offer.item.json, (listed != *name).then_some(&*listed), &settings);
                array.push(&render::modern_tool(&item).unwrap_or_else(|| item.clone()));
                early.push(&render::early_tool(&item).unwrap_or(item));
                let renamed = target.clone().upstream(&**name);
                let qualified = backend.qualified(shown);
                if !self.prefixes.is_of_longer(&qualified, backend.prefix()) {
                    aliases.push((qualified.into(), renamed.clone()));
                }
                aliases.push((full, renamed.clone()));
                named.insert(listed.clone(), if listed == *name { target } else { renamed });
            }
        }
        for (name, target) in aliases {
            named.entry(name).or_insert(target);
        }
        early.freshness_of(&array);
        (named, [array.finish(), early.finish()])
    }

    /// The names of tools that are withheld stay theirs: who calls one by the name that was approved must not reach another
    /// server's tool because of what its own one says of itself.
    fn hold(&self, part: &Part<S>, backend: &Backend<S>, held: &mut HashSet<Box<str>>) {
        let withheld = part.withheld().into_iter().filter_map(|name| {
            let settings = part.toolset.of(&name)?;
            Some(settings.rename.unwrap_or(name))
        });
        let own = withheld.filter(|name| !self.prefixes.is_foreign(name, backend.prefix()));
        held.extend(own.map(|name| Box::from(short(&name))));
    }

    /// What the operator says of an item; `None` if clients do not see it.
    fn settings(&mut self, kind: Kind, part: &Part<S>, item: &Item) -> Option<ToolSettings> {
        if kind != Kind::Tools {
            return Some(ToolSettings::default());
        }
        let settings = part.toolset.of(&item.key)?;
        if item.needs_task() {
            self.notices.insert(Notice::NeedsTask { server: part.server.clone(), name: item.key.clone() });
            return None;
        }
        Some(settings)
    }

    /// The name clients see; `None` if there is none left.
    fn expose(
        &mut self,
        kind: Kind,
        is_taken: impl Fn(&str) -> bool,
        backend: &Backend<S>,
        name: &str,
    ) -> Option<Exposed> {
        let prefixed = self.merge.naming == Naming::Prefixed;
        let bare = Exposed::new(kind, name.into());
        if !prefixed && !is_taken(&bare.listed) && !self.prefixes.is_foreign(name, backend.prefix()) {
            self.shortened(backend, name, &bare);
            return Some(bare);
        }
        let qualified = Exposed::new(kind, backend.qualified(name).into());
        let (kind, server) = (kind.word(), backend.server().clone());
        if is_taken(&qualified.listed) || self.prefixes.is_of_longer(&qualified.full, backend.prefix()) {
            self.notices.insert(Notice::Hidden { kind, server, name: name.into() });
            return None;
        }
        if !prefixed {
            let exposed = qualified.listed.clone();
            self.notices.insert(Notice::Renamed { kind, server, name: name.into(), exposed });
        } else {
            self.shortened(backend, name, &qualified);
        }
        Some(qualified)
    }

    fn shortened(&mut self, backend: &Backend<S>, name: &str, exposed: &Exposed) {
        if exposed.full != exposed.listed {
            let (server, listed) = (backend.server().clone(), exposed.listed.clone());
            self.notices.insert(Notice::Shortened { server, name: name.into(), exposed: listed });
        }
    }

    fn resources(&mut self) -> (Names<Vec<Target<S>>>, Json) {
        let mut found: Names<Vec<Target<S>>> = Names::default();
        let mut array = Array::new(Kind::Resources);
        for (part, backend) in self.parts.iter().zip(self.backends.clone()) {
            for offer in union(part, Kind::Resources, &mut array) {
                let uri = &offer.item.key;
                let old = self.previous.and_then(|table| table.resources.get(uri));
                let old = old.and_then(|targets| targets.iter().find(|target| *target.server() == part.server));
                let target = Target::new(backend.clone()).providers(offer.providers(&part.server, old));
                let targets = found.entry(uri.clone()).or_default();
                if targets.is_empty() {
                    array.push(offer.item.json.as_bytes());
                } else {
                    self.hidden(Kind::Resources, &part.server, uri);
                }
                targets.push(target);
            }
        }
        (found, array.finish())
    }

    fn templates(&mut self) -> (Templates<S>, Json) {
        let known = self.previous.into_iter().flat_map(|table| table.templates.iter());
        let known: HashMap<_, _> = known.map(|(t, target)| ((t.as_str(), target.server()), target)).collect();
        let (mut found, mut array, mut seen) = (Vec::new(), Array::new(Kind::Templates), HashSet::new());
        for (part, backend) in self.parts.iter().zip(self.backends.clone()) {
            for offer in union(part, Kind::Templates, &mut array) {
                let text = &offer.item.key;
                let old = known.get(&(&**text, &part.server)).copied();
                let target = Target::new(backend.clone()).providers(offer.providers(&part.server, old));
                if seen.insert(text.clone()) {
                    array.push(offer.item.json.as_bytes());
                } else {
                    self.hidden(Kind::Templates, &part.server, text);
                }
                found.push((Template::new(text.clone()), target));
            }
        }
        (found.into_iter().collect(), array.finish())
    }

    fn hidden(&mut self, kind: Kind, server: &ServerName, name: &str) {
        self.notices.insert(Notice::Hidden { kind: kind.word(), server: server.clone(), name: name.into() });
    }
}

impl Offer<'_> {
    /// Those of the target this item had before, if they are the same: their turn goes on.
    fn providers<S>(&self, server: &ServerName, old: Option<&Target<S>>) -> Arc<Providers> {
        let old = old.filter(|target| target.server() == server).and_then(Target::providers_of);
        match old {
            Some(old) if *old.endpoints() == *self.endpoints => old.clone(),
            _ => Arc::new(Providers::new(self.endpoints.iter().cloned())),
        }
    }
}

/// What the replicas of a server list: each item as the first that lists it has it.
fn union<'a, S>(part: &'a Part<S>, kind: Kind, array: &mut Array) -> Vec<Offer<'a>> {
    let mut offers: Vec<Offer<'a>> = Vec::new();
    let mut places = HashMap::new();
    for (endpoint, listing) in part.listings() {
        let list = listing.list(kind);
        array.part(list.freshness);
        for item in &list.items {
            let place = *places.entry(&*item.key).or_insert(offers.len());
            match offers.get_mut(place) {
                None => offers.push(Offer { item, endpoints: vec![endpoint.clone()] }),
                // A name that stands twice in one list is still one provider.
                Some(offer) if offer.endpoints.last() == Some(endpoint) => {}
                Some(offer) => offer.endpoints.push(endpoint.clone()),
            }
        }
    }
    offers
}

/// A name as clients see it.
struct Exposed {
    full: Box<str>,
    /// As it stands in the list: the full name, or a short one in its place.
    listed: Box<str>,
}

impl Exposed {
    fn new(kind: Kind, full: Box<str>) -> Self {
        let listed = if kind == Kind::Tools { short(&full).into() } else { full.clone() };
        Self { full, listed }
    }
}

/// The item under another name, or with another description; its own bytes where neither is.
fn edited(item: &Json, name: Option<&str>, settings: &ToolSettings) -> Bytes {
    let texts = [("name", name), ("description", settings.description.as_deref())];
    let texts: Vec<_> = texts.into_iter().filter_map(|(member, text)| Some((member, quoted(text?)))).collect();
    if texts.is_empty() {
        return item.as_bytes().clone();
    }
    let edits: Vec<_> = texts.iter().map(|(member, text)| Edit::Set(member, text)).collect();
    object::edit(item.as_bytes(), &edits).unwrap_or_else(|_| item.as_bytes().clone())
}

fn quoted(text: &str) -> Vec<u8> {
    let mut quoted = Vec::new();
    write::string(&mut quoted, text);
    quoted
}

type Backends<S> = (Vec<Arc<Backend<S>>>, Prefixes);

fn backends<S: Clone>(parts: &[Part<S>]) -> Backends<S> {
    let mut prefixes = Prefixes::default();
    let backends = parts.iter().map(|part| {
        let backend = Backend::new(part.server.clone(), part.pool.clone()).able(abilities(part));
        let withheld = part.withheld();
        let toolset = match withheld.is_empty() {
            true => part.toolset.clone(),
            false => Arc::new(part.toolset.without(withheld)),
        };
        let backend = backend.tools(toolset).request_timeout(part.request_timeout);
        let prefix = prefixes.distinct(backend.prefix());
        Arc::new(backend.prefixed(prefix))
    });
    (backends.collect(), prefixes)
}

/// What the replicas declare, and what they list without having declared it.
fn abilities<S>(part: &Part<S>) -> Abilities {
    let has = |kind: Kind| {
        part.listings().any(|(_, listing)| listing.has(kind.capability()) || !listing.list(kind).items.is_empty())
    };
    let subscribers = part.listings().filter(|(_, listing)| listing.subscribes());
    Abilities {
        unknown: part.listings().next().is_none(),
        tools: has(Kind::Tools),
        prompts: has(Kind::Prompts),
        resources: has(Kind::Resources) || has(Kind::Templates),
        completions: part.listings().any(|(_, listing)| listing.has("completions")),
        subscribers: subscribers.map(|(endpoint, _)| endpoint.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splices::object_of;
    use proptest::prelude::*;
    use serde_json::Value;

    proptest! {
        /// parse(splice(x)) = edit(parse(x)).
        #[test]
        fn an_item_gets_its_name_and_description_and_is_otherwise_its_servers(
            (item, text) in object_of("name|description|[a-c]".prop_map(String::from)),
            name in prop::option::of(".{0,5}"),
            description in prop::option::of(".{0,5}"),
        ) {
            let mut item = item;
            let settings = ToolSettings { description: description.as_deref().map(Into::into), ..ToolSettings::default() };
            let bytes = edited(&Json::parse(text.clone()).unwrap(), name.as_deref(), &settings);
            if name.is_none() && description.is_none() {
                prop_assert_eq!(&bytes[..], text.as_bytes());
            }
            for (member, text) in [("name", name), ("description", description)] {
                if let Some(text) = text {
                    item[member] = text.into();
                }
            }
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), item);
        }
    }
}
