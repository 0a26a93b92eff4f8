//! Whether a call that was turned away is sent again: after a new handshake, if what was agreed on does not hold any more.

use super::Conversation;
use crate::{
    BoxError, Call, Method, Reply,
    error::find,
    json::Params,
    metrics::Count,
    upstream::{
        Outbound, Transport,
        era::{agreed::Agreed, lane::Lane, listen},
        error::{Replaced, SessionLost, SessionRefused},
    },
};
use std::{error::Error, ops::ControlFlow, sync::Arc, time::Duration};
use tokio::time::timeout;
use tower::ServiceExt;

/// How often a call is sent at most, counting those that a lost session or a replaced connection turned away.
const MAX_ATTEMPTS: usize = 3;
/// Longest wait for the ping that shows whether a session stands. A server that is silent has not refused it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a call was sent.
#[derive(Debug, Default)]
pub(in crate::upstream::era) struct Tries {
    pub(in crate::upstream::era) made: usize,
    /// Whether a session was begun anew because it was refused.
    renewed: bool,
}

impl Tries {
    pub(in crate::upstream::era) const fn once() -> Self {
        Self { made: 1, renewed: false }
    }
}

impl<T: Transport> Conversation<T> {
    /// Whether the call was turned away because what was agreed on does not hold any more, or may not.
    pub(in crate::upstream::era) fn is_turned_away(error: &(dyn Error + 'static)) -> bool {
        is_outdated(error) || find::<SessionRefused>(error).is_some()
    }

    /// Continues if the call is to be sent again; breaks with what it comes to otherwise.
    pub(in crate::upstream::era) async fn turned_away(
        &self,
        error: BoxError,
        call: &Call,
        lane: &Lane,
        agreed: &Arc<Agreed>,
        tries: &mut Tries,
    ) -> ControlFlow<Result<Reply, BoxError>> {
        if is_outdated(&*error) && tries.made < MAX_ATTEMPTS {
            self.begin_anew(lane, agreed);
            return ControlFlow::Continue(());
        }
        let refused = match error.downcast::<SessionRefused>() {
            Ok(refused) => refused,
            Err(error) => return ControlFlow::Break(Err(error)),
        };
        let stands = self.stands(call, lane, agreed, tries).await;
        if stands == Some(false) {
            tries.renewed = true;
            self.begin_anew(lane, agreed);
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(match (&call.method, stands) {
            (&Method::LISTEN, Some(true)) => Ok(listen::silence(agreed.hop.clone())),
            // Whoever listens tries again, which those that are told to wait do not.
            (&Method::LISTEN, _) => Err(refused),
            _ => refused.into_outcome().map(Reply::single),
        })
    }

    pub(in crate::upstream::era) fn begin_anew(&self, lane: &Lane, agreed: &Arc<Agreed>) {
        self.settings.metrics.count(Count::Session);
        agreed.hop.lose();
        lane.forget(agreed);
    }

    /// Whether a refused call was refused in a session that stands; if not, it is to be sent in another. `None` where that is
    /// not known, or another would not help. What servers say does not tell whether it is the session or the call that they
    /// refuse, so they are asked something in it that they cannot refuse otherwise: a new session for a call that is no good
    /// would lose what the old one holds for all others.
    async fn stands(&self, call: &Call, lane: &Lane, agreed: &Arc<Agreed>, tries: &Tries) -> Option<bool> {
        // Whoever found out before has begun another.
        if !tries.renewed && !lane.is_present(agreed) {
            return (tries.made < MAX_ATTEMPTS).then_some(false);
        }
        if tries.made >= MAX_ATTEMPTS || lane.is_in_vain() {
            return None;
        }
        let takes = match call.method {
            Method::PING => false,
            _ => self.takes_ping(agreed).await?,
        };
        if !takes && tries.renewed {
            lane.renewed_in_vain();
            return None;
        }
        Some(takes)
    }

    /// Whether a ping is taken under what was agreed on; `None` if nothing answers.
    async fn takes_ping(&self, agreed: &Arc<Agreed>) -> Option<bool> {
        let ping = Outbound { call: Call::new(Method::PING, Params::empty()), hop: agreed.hop.clone() };
        match timeout(PATIENCE, self.transport.clone().oneshot(ping)).await.ok()? {
            Ok(_) => Some(true),
            Err(error) => Self::is_turned_away(&*error).then_some(false),
        }
    }
}

/// Whether the call was turned away, unexecuted, because what was agreed on does not hold any more.
fn is_outdated(error: &(dyn Error + 'static)) -> bool {
    find::<Replaced>(error).is_some() || find::<SessionLost>(error).is_some()
}
