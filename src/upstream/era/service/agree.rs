//! What a call is sent under: whose session, and what was agreed on for it.

use super::Conversation;
use crate::{
    BoxError, Call, Session,
    error::find,
    upstream::{
        Transport,
        era::{
            agreed::Agreed,
            error::HandshakeFailed,
            handshake::{Greeting, Opening},
            lane::Lane,
            lanes::{Key, Opened, watch},
        },
        error::{Refused, Status, Unwelcome},
    },
};
use http::StatusCode;
use std::{error::Error, sync::Arc};

impl<T: Transport> Conversation<T> {
    /// What the call is to be sent under, after as many handshakes as that takes.
    pub(super) async fn agree(self: &Arc<Self>, call: &Call) -> Result<(Arc<Lane>, Arc<Agreed>), BoxError> {
        let agreed = self.agree_on(&self.common, self.opening()).await?;
        let Some(key) = self.own(call, &agreed) else { return Ok((self.common.clone(), agreed)) };
        let lane = self.lane_of(&key, call.session.as_ref());
        let failed = match self.agree_on(&lane, self.another()).await {
            Ok(own) => {
                agreed.takes.took_another();
                return Ok((lane, own));
            }
            Err(failed) => failed,
        };
        let Some(unwelcome) = unwelcome(&failed) else { return Err(failed.into()) };
        self.lanes.close(&key);
        self.fault.store(None);
        match find::<Refused>(&failed).is_some() && !self.takes_another(&agreed).await? {
            true => Ok((self.common.clone(), agreed)),
            false => Err(unwelcome.into()),
        }
    }

    /// Whether the server takes another `initialize` than that of the gateway's own session, where it refused a client's. It
    /// is asked in the gateway's own words: what one client says of itself must not decide how all others are served.
    async fn takes_another(&self, common: &Agreed) -> Result<bool, HandshakeFailed> {
        if common.takes.several() {
            return Ok(true);
        }
        match self.agree_on(&self.trial, self.another()).await {
            Ok(trial) => {
                common.takes.took_another();
                if self.trial.forget(&trial) {
                    self.transport.end_session(&trial.hop);
                }
            }
            Err(failed) if find::<Refused>(&failed).is_none() => return Err(failed),
            Err(_) => {
                self.fault.store(None);
                if common.takes.refused_another() {
                    tracing::warn!("a server takes no other `initialize`, so all clients share its session for now");
                }
            }
        }
        Ok(common.takes.several())
    }

    /// The lane under a key. A new one is let go, and its session at the server ended, when the client's is, or nobody
    /// uses it any more.
    fn lane_of(self: &Arc<Self>, key: &Key, session: Option<&Arc<Session>>) -> Arc<Lane> {
        let info = session.map_or(&self.settings.client_info, |session| session.client_info());
        let make = || Lane::new(info.clone(), key.declaration.clone());
        let Opened { lane, key, let_go, closed } = match self.lanes.open(key, session, make) {
            Ok(opened) => opened,
            Err(lane) => return lane,
        };
        closed.iter().for_each(|lane| end(&self.transport, lane));
        let transport = self.transport.clone();
        let watch = watch(Arc::downgrade(&self.lanes), key, session.cloned(), move |lane| end(&transport, lane));
        self.tasks.spawn(async move {
            let_go.run_until_cancelled(watch).await;
        });
        lane
    }

    async fn agree_on(&self, lane: &Lane, opening: Opening) -> Result<Arc<Agreed>, HandshakeFailed> {
        let greeting = |client_info, declaration| Greeting {
            settings: self.settings.clone(),
            child: self.child,
            opening,
            client_info,
            declaration,
        };
        let result = lane.agree(&self.transport, greeting).await;
        match &result {
            Ok(agreed) => {
                self.latest.store(Some(agreed.clone()));
                self.fault.store(None);
            }
            Err(failed) => self.fault.store(Some(Arc::new(failed.describe()))),
        }
        result
    }

    /// What to ask first for another session. Whatever the era is called by now, the server has just taken `initialize`.
    fn another(&self) -> Opening {
        if self.opening == Opening::Discover { Opening::Initialize } else { self.opening }
    }

    /// What to ask first: the era the server spoke before, if it was more than a guess.
    pub(super) fn opening(&self) -> Opening {
        if self.dedicated {
            return self.opening;
        }
        let latest = self.latest.load();
        let is_legacy = latest.as_ref().is_some_and(|latest| latest.certain && !latest.revision.is_modern());
        if self.opening == Opening::Discover && is_legacy { Opening::Initialize } else { self.opening }
    }
}

/// The failure of a client's own handshake as what it is to that client, if the server is well enough to have answered it.
pub(in crate::upstream::era) fn unwelcome(failed: &(dyn Error + 'static)) -> Option<Unwelcome> {
    let refused = find::<Refused>(failed).map(|refused| refused.0.clone());
    // Of the gateway's credentials and of its haste no client knows anything.
    let of_the_gateway =
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    let status = find::<Status>(failed).filter(|Status(code)| code.is_client_error() && !of_the_gateway.contains(code));
    refused.or_else(|| status.map(|status| status.to_string().into())).map(Unwelcome)
}

/// A lane will not be used again.
fn end<T: Transport>(transport: &T, lane: &Lane) {
    if let Some(agreed) = lane.latest() {
        transport.end_session(&agreed.hop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_gateways_credentials_and_haste_no_client_is_told_that_it_is_unwelcome() {
        let is_unwelcome = |code| unwelcome(&Status(StatusCode::from_u16(code).unwrap())).is_some();
        assert!([400, 404, 422].into_iter().all(is_unwelcome));
        assert!(![401, 403, 408, 429, 500, 503].into_iter().any(is_unwelcome));
        assert!(unwelcome(&Refused("too many sessions".into())).is_some());
    }
}
