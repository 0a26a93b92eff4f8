use super::{Change, Fingerprint, Review};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// The tools of one list, in its order: name and fingerprint.
pub(crate) type Prints = Arc<[(Box<str>, Fingerprint)]>;

/// The most tools that are pinned of one server name: a multiple of what any server lists, few enough that one that makes
/// up new names for ever meets an end.
pub(super) const MAX_TOOLS: usize = 20_000;

/// Text that holds no pins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no pins: {0}")]
pub struct InvalidPins(pub(super) String);

/// Everything that is pinned: by server name, then by the server's own name of the tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    #[serde(default)]
    servers: BTreeMap<String, BTreeMap<Box<str>, Pinned>>,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    pinned: Fingerprint,
    /// What it is now, where that is something else: what would be accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<Box<Fingerprint>>,
}

impl Ledger {
    /// Compares what the replicas of a server list; tells of each list what has changed, and whether anything is to be
    /// kept that was not before.
    pub(super) fn review(&mut self, server: &str, lists: &[Prints]) -> (Vec<Review>, bool) {
        let tools = self.servers.entry(server.to_owned()).or_default();
        let mut news = false;
        let mut now: BTreeMap<&str, Option<&Fingerprint>> = BTreeMap::new();
        let mut reviews = Vec::with_capacity(lists.len());
        for list in lists {
            let mut review = Review::default();
            for (name, print) in &**list {
                if !tools.contains_key(name) {
                    if tools.len() == MAX_TOOLS {
                        review.beyond += 1;
                        review.same.push(false);
                        continue;
                    }
                    tools.insert(name.clone(), Pinned { pinned: print.clone(), changed: None });
                    news = true;
                }
                let pinned = &tools[name].pinned;
                let same = pinned == print;
                if same {
                    now.entry(name).or_insert(None);
                } else {
                    now.insert(name, Some(print));
                    review.changes.push(Change::new(name, pinned, print));
                }
                review.same.push(same);
            }
            reviews.push(review);
        }
        for (name, print) in now {
            let tool = tools.get_mut(name).expect("compared with it");
            if tool.changed.as_deref() != print {
                tool.changed = print.cloned().map(Box::new);
                news = true;
            }
        }
        if tools.is_empty() {
            self.servers.remove(server);
        }
        (reviews, news)
    }

    /// Pins what those tools of a server are now whose change `is_meant`. Gives the changes.
    pub(super) fn accept(&mut self, server: &str, is_meant: impl Fn(&Change) -> bool) -> Vec<Change> {
        let mut accepted = Vec::new();
        for (name, tool) in self.servers.get_mut(server).into_iter().flatten() {
            if let Some(now) = tool.changed.take_if(|now| is_meant(&Change::new(name, &tool.pinned, now))) {
                accepted.push(Change::new(name, &tool.pinned, &now));
                tool.pinned = *now;
            }
        }
        accepted
    }

    /// Every tool that is not what is pinned, with the name of its server.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&str, Change)> {
        let all = self.servers.iter().flat_map(|(server, tools)| tools.iter().map(move |tool| (server, tool)));
        all.filter_map(|(server, (name, tool))| {
            Some((server.as_str(), Change::new(name, &tool.pinned, tool.changed.as_deref()?)))
        })
    }

    /// Takes over what `kept` has pinned; tells whether that is something else for a tool that was known.
    pub(super) fn take_over(&mut self, kept: Self) -> bool {
        let mut other = false;
        for (server, tools) in kept.servers {
            let own = self.servers.entry(server).or_default();
            for (name, tool) in tools {
                match own.get_mut(&name) {
                    Some(known) if known.pinned != tool.pinned => {
                        *known = tool;
                        other = true;
                    }
                    Some(_) => {}
                    None => drop(own.insert(name, tool)),
                }
            }
        }
        other
    }
}
