use super::inbox::Inbox;
use crate::EndpointId;
use std::{collections::HashMap, sync::Arc};

/// One URI that somebody listens to.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// By number, with the place of the URI in each one's inbox.
    pub(super) listeners: HashMap<u64, (Arc<Inbox>, usize)>,
    /// The endpoint that is asked to tell of it.
    pub(super) place: Option<EndpointId>,
    pub(super) state: State,
    /// Endpoints that were asked and do not tell of it.
    pub(super) refused: Vec<EndpointId>,
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

    pub(super) fn update(&self) {
        self.listeners.values().for_each(|(inbox, place)| inbox.mark_shared(*place));
    }

    /// Tells all who wait for the word; without effect on those who have it.
    pub(super) fn decide(&self, honoured: bool) {
        self.listeners.values().for_each(|(inbox, place)| inbox.decide(*place, honoured));
    }
}
