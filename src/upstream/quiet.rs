//! After a cancellation, a question that does not say which call it is about may still be of the call that was cancelled.

use crate::{Call, Session};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long after the cancellation of a client's call no question is believed to be another client's: a server that
/// reads its messages has stopped asking by then.
pub const QUIET: Duration = Duration::from_secs(1);
/// How long that is once the server is known to have read the cancellation: time for a handler to notice.
pub(super) const NOTICED: Duration = Duration::from_millis(200);

/// Who made a call, as far as a channel of several clients can tell.
#[derive(Clone, Debug)]
pub(super) enum Whose {
    Session(Arc<Session>),
    /// A client of 2026-07-28; all of them look alike.
    Sessionless,
    Several,
}

impl Whose {
    pub(super) fn of(call: &Call) -> Self {
        call.session.clone().map_or(Whose::Sessionless, Whose::Session)
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Whose::Session(one), Whose::Session(other)) => Arc::ptr_eq(one, other),
            (Whose::Sessionless, Whose::Sessionless) => true,
            _ => false,
        }
    }
}

/// The server may still ask for calls that were cancelled.
#[derive(Debug)]
pub(super) struct Quiet {
    whose: Whose,
    until: Instant,
    /// What tells, once the server has answered it, that it has read the cancellations.
    unread: Vec<u64>,
    order: Order,
}

/// How messages to a server and messages of it stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What the server has answered, it has read after all that went out before, and said after all that it said before.
    #[default]
    Kept,
    /// Each message has a way of its own.
    Lost,
}

impl Quiet {
    /// After one more cancellation of a call of `whose`, which the server has read when it has answered `sign`; without one,
    /// nobody learns when it has.
    pub(super) fn after(before: Option<Self>, whose: Whose, sign: impl Into<Option<u64>>, order: Order) -> Self {
        let before = before.filter(|quiet| Instant::now() < quiet.until);
        let (whose, mut unread) = match before {
            Some(quiet) if quiet.whose.is(&whose) => (whose, quiet.unread),
            Some(quiet) => (Whose::Several, quiet.unread),
            None => (whose, Vec::new()),
        };
        unread.extend(sign.into());
        Self { whose, until: Instant::now() + QUIET, unread, order }
    }

    /// The server has answered `sign`.
    pub(super) fn read(&mut self, sign: u64) {
        let (before, order) = (self.unread.len(), self.order);
        self.unread.retain(|unread| *unread != sign && (order == Order::Lost || *unread > sign));
        if self.unread.is_empty() && before > 0 {
            self.until = self.until.min(Instant::now() + NOTICED);
        }
    }

    /// Whether a question of this moment may be meant for a call of `whose`. To whoever made the cancelled call it may
    /// always go: it is their own question, or that of their next call.
    pub(super) fn admits(&self, whose: &Whose) -> bool {
        let same = match self.whose {
            Whose::Sessionless => self.unread.is_empty() && self.order == Order::Kept,
            _ => true,
        };
        same && self.whose.is(whose) || Instant::now() >= self.until
    }
}
