use super::{
    error::{Failed, NotRenewed, SignedOut},
    store::Grant,
};
use crate::{BoxError, upstream::error::Connect};
use std::time::Duration;
use tokio::time::Instant;

/// The shortest time between two renewals of the same tokens: an authorization server that is away must not hold up each call
/// anew, and a server that refuses what it was just given refuses the next as well.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// A renewal that failed, from which others are answered for a while.
pub(super) struct Setback {
    /// What could not be renewed; of another grant it says nothing.
    of: Grant,
    why: Failed,
    since: Instant,
}

impl Setback {
    pub(super) fn new(of: Grant, why: Failed) -> Self {
        Self { of, why, since: Instant::now() }
    }

    /// Whether a renewal of `grant` would fail as well. What was refused is refused for ever: an authorization server that is
    /// asked with it at every health check may shut the gateway out.
    pub(super) fn holds_for(&self, grant: &Grant) -> bool {
        self.of.is(grant) && (self.is_final() || self.since.elapsed() < PAUSE)
    }

    /// Only another sign-in helps.
    fn is_final(&self) -> bool {
        matches!(self.why, Failed::Denied(_)) || self.of.refresh_token.is_none()
    }

    pub(super) fn reason(&self) -> Unready {
        if self.is_final() { Unready::SignedOut } else { Unready::Failed(self.why.to_string()) }
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unready {
    SignedOut,
    Failed(String),
}

impl Unready {
    /// What it is to a call of `server`, which was not sent.
    pub(super) fn of(self, server: &str) -> BoxError {
        let error: BoxError = match self {
            Self::SignedOut => SignedOut { server: server.to_owned() }.into(),
            Self::Failed(why) => NotRenewed { why }.into(),
        };
        Connect(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::store::tests::grant;

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_asked_is_asked_again_and_who_refuses_is_not() {
        let one = Grant { refresh_token: Some("refresh".into()), ..grant("https://a.example") };
        let other = Grant { access_token: "other".into(), ..one.clone() };
        let away = || Failed::Unreachable { what: "the authorization server", why: "it is away".into() };
        let (passing, lasting) =
            (Setback::new(one.clone(), away()), Setback::new(one.clone(), Failed::Denied("no".into())));
        assert!(passing.holds_for(&one) && lasting.holds_for(&one));
        assert!(!passing.holds_for(&other) && !lasting.holds_for(&other), "somebody has signed in since");
        assert_eq!(passing.reason(), Unready::Failed("the authorization server cannot be asked: it is away".into()));
        assert_eq!(lasting.reason(), Unready::SignedOut);
        tokio::time::advance(PAUSE + Duration::from_secs(1)).await;
        assert!(!passing.holds_for(&one) && lasting.holds_for(&one));
    }
}
