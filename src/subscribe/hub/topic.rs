use super::{inbox::Inbox, sight::Sight};
use crate::{EndpointId, auth::Mark};
use std::{collections::HashMap, sync::Arc};
use tokio_util::sync::DropGuard;

/// One URI that somebody listens to.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// By number.
    pub(super) listeners: HashMap<u64, Listener>,
    /// The endpoint that is asked to tell of it.
    pub(super) place: Option<EndpointId>,
    pub(super) state: State,
    /// Endpoints that were asked and do not tell of it.
    pub(super) refused: Vec<EndpointId>,
}

/// One who listens to a URI.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) inbox: Arc<Inbox>,
    /// That of the URI in the inbox.
    pub(super) place: usize,
    /// Keeps what the listener has in a session of its own at the endpoint; the last of its URIs there lets go of it.
    pub(super) stay: Option<Arc<DropGuard>>,
}

/// Whose the subscriptions of one stream are.
#[derive(Debug)]
pub(super) struct Holder {
    /// That of the listener.
    pub(super) number: u64,
    pub(super) sight: Sight,
    /// The principal.
    pub(super) owner: Mark,
}

/// How far the subscription has come.
// ## Asked => Live => (Lost => Live)*
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// No endpoint has said yet that it tells of it.
    #[default]
    Asked,
    /// The endpoint tells of it.
    Live,
    /// An endpoint did, and at present none does: what changes meanwhile is told as one update afterwards.
    Lost,
}

impl Topic {
    /// Its endpoint tells of it from here on.
    pub(super) fn live(&mut self) {
        if std::mem::replace(&mut self.state, State::Live) == State::Lost {
            self.update();
        }
        self.decide(true);
    }

    /// Its endpoint does not tell of it any more.
    pub(super) fn lost(&mut self) {
        if self.state == State::Live {
            self.state = State::Lost;
        }
    }

    /// Nobody has anything at its endpoint any more: what was said there in sessions of listeners' own is not waited
    /// for.
    pub(super) fn leave(&mut self) {
        self.lost();
        for listener in self.listeners.values_mut() {
            listener.inbox.entrust(listener.place, None);
            listener.stay = None;
        }
    }

    pub(super) fn update(&self) {
        self.listeners.values().for_each(|listener| listener.inbox.mark_shared(listener.place));
    }

    /// Tells all who wait for the word; without effect on those who have it.
    pub(super) fn decide(&self, honoured: bool) {
        self.listeners.values().for_each(|listener| listener.inbox.decide(listener.place, honoured));
    }
}
