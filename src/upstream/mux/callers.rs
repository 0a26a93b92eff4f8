use super::State;
use crate::{Session, upstream::quiet::Whose};
use std::sync::{Arc, Weak};

/// Whose calls a connection has had: what a server says outside of calls is for a client only if nobody else could be
/// meant.
#[derive(Debug, Default)]
pub(super) enum Callers {
    #[default]
    None,
    One(Weak<Session>),
    Several,
}

impl Callers {
    /// Counts a call.
    pub(super) fn add(&mut self, whose: &Whose) {
        match (&*self, whose) {
            (Callers::None, Whose::Session(session)) => *self = Callers::One(Arc::downgrade(session)),
            (Callers::One(one), Whose::Session(session)) if Weak::as_ptr(one) == Arc::as_ptr(session) => {}
            _ => *self = Callers::Several,
        }
    }
}

impl State {
    /// The only session that has made calls on this connection, if it has not ended.
    pub(super) fn only_session(&self) -> Option<Arc<Session>> {
        match &self.callers {
            Callers::One(session) => session.upgrade().filter(|session| !session.is_closed()),
            Callers::None | Callers::Several => None,
        }
    }
}
