use super::{Kind, Listing, Notice, Part};
use crate::pin::{Fingerprint, Pin, Prints, Review};
use std::collections::{BTreeSet, HashSet};

impl Listing {
    /// What its tools are compared by.
    pub(crate) fn prints(&self) -> Prints {
        self.list(Kind::Tools).items.iter().map(|tool| (tool.key.clone(), Fingerprint::of(&tool.json))).collect()
    }

    /// The listing with what came of comparing its tools, without those that shall not exist.
    pub(crate) fn reviewed(&self, review: Review, pin: Pin) -> Self {
        let mut listing = self.clone();
        listing.changed = review.changes;
        listing.unpinned = review.beyond;
        if pin == Pin::Block && review.same.contains(&false) {
            let mut same = review.same.iter().copied();
            let tools = &mut listing.lists[Kind::Tools as usize].items;
            let (kept, withheld): (Vec<_>, _) =
                std::mem::take(tools).into_iter().partition(|_| same.next().unwrap_or_default());
            *tools = kept;
            listing.withheld = withheld.into_iter().map(|tool| tool.key).collect();
        }
        listing
    }

    /// The tools that exist for nobody until somebody accepts what they are now.
    pub fn withheld(&self) -> &[Box<str>] {
        &self.withheld
    }
}

impl<S> Part<S> {
    /// The tools that no replica lists but as one that is withheld.
    pub(super) fn withheld(&self) -> HashSet<Box<str>> {
        let mut names: HashSet<_> = self.listings().flat_map(|(_, listing)| &listing.withheld).cloned().collect();
        if !names.is_empty() {
            self.listings().flat_map(|(_, listing)| &listing.list(Kind::Tools).items).for_each(|tool| {
                names.remove(&tool.key);
            });
        }
        names
    }

    /// What its operator should know of tools that have changed.
    pub(super) fn changes(&self) -> BTreeSet<Notice> {
        let server = &self.server;
        let of = |listing: &Listing| {
            let withheld: HashSet<&str> = listing.withheld.iter().map(|name| &**name).collect();
            let changed = listing.changed.iter().map(|change| Notice::Changed {
                server: server.clone(),
                withheld: withheld.contains(&*change.tool),
                change: change.clone(),
            });
            let beyond = (listing.unpinned > 0)
                .then(|| Notice::Unpinned { server: server.clone(), withheld: withheld.len() > listing.changed.len() });
            changed.chain(beyond).collect::<Vec<_>>()
        };
        self.listings().flat_map(|(_, listing)| of(listing)).collect()
    }
}
