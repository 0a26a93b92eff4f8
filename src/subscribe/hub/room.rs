use super::Hub;
use crate::{auth::Mark, subscribe::shares::Shares};
use std::{collections::HashMap, sync::Arc};

/// What all subscriptions take, and what of it those of each principal do.
#[derive(Debug)]
pub(super) struct Room {
    /// Listeners of all topics together.
    subscriptions: Shares,
    /// The length of all URIs together, each counted once; for a principal each of its own.
    bytes: Shares,
    /// The URIs of each principal, with how many listeners it has there.
    owned: HashMap<(Mark, Arc<str>), usize>,
}

impl Default for Room {
    fn default() -> Self {
        let (subscriptions, bytes) = (Shares::new(Hub::MAX_SUBSCRIPTIONS), Shares::new(Hub::MAX_BYTES));
        Self { subscriptions, bytes, owned: HashMap::new() }
    }
}

impl Room {
    /// Whether there is room for listeners of all of these, each with whether nobody listens to it yet.
    pub(super) fn fits<'a>(&self, owner: Mark, uris: impl Iterator<Item = (&'a Arc<str>, bool)>) -> bool {
        let (mut count, mut own, mut more) = (0, 0, 0);
        for (uri, is_new) in uris {
            count += 1;
            own += if self.owned.contains_key(&(owner, uri.clone())) { 0 } else { uri.len() };
            more += if is_new { uri.len() } else { 0 };
        }
        self.subscriptions.fits(owner, count, count) && self.bytes.fits(owner, own, more)
    }

    /// Takes room for a listener of the URI, to which nobody listens yet if it `is_new`.
    pub(super) fn take(&mut self, owner: Mark, uri: &Arc<str>, is_new: bool) {
        let mut own = 0;
        if owner != Mark::default() {
            let listeners = self.owned.entry((owner, uri.clone())).or_default();
            *listeners += 1;
            own = if *listeners == 1 { uri.len() } else { 0 };
        }
        self.subscriptions.take(owner, 1, 1);
        self.bytes.take(owner, own, if is_new { uri.len() } else { 0 });
    }

    /// Gives back that of a listener, after whom nobody listens to the URI if it `is_last`.
    pub(super) fn give_back(&mut self, owner: Mark, uri: &Arc<str>, is_last: bool) {
        let mut own = 0;
        let key = (owner, uri.clone());
        if let Some(listeners) = self.owned.get_mut(&key) {
            *listeners -= 1;
            if *listeners == 0 {
                own = uri.len();
                self.owned.remove(&key);
            }
        }
        self.subscriptions.give_back(owner, 1, 1);
        self.bytes.give_back(owner, own, if is_last { uri.len() } else { 0 });
    }

    pub(super) const fn subscriptions(&self) -> usize {
        self.subscriptions.taken()
    }
}
