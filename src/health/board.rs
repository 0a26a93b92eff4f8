use super::{HealthCheck, Peers, Vital};
use crate::EndpointId;
use std::{
    collections::HashMap,
    fmt,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// The verdicts on all endpoints of a registry.
///
/// It holds one entry per endpoint, from [`endpoint`](Board::endpoint) to [`forget`](Board::forget), and nothing else, so
/// it is as large as the registry. Clones are the same board.
///
/// ```
/// use tower_mcp_gateway::health::{Board, Verdict};
///
/// let board = Board::default();
/// let vital = board.endpoint(&"search-1".into());
/// assert_eq!(board.verdict("search-1"), Verdict::Unknown);
/// assert!(!vital.is_well());
/// ```
#[derive(Clone, Default)]
pub struct Board {
    thresholds: Thresholds,
    vitals: Arc<Mutex<HashMap<EndpointId, Vital>>>,
    verdicts: Arc<watch::Sender<Verdicts>>,
}

/// How many probes in a row change a verdict.
///
/// More than one keeps a server whose checks fail now and then, at the price that calls go to one that is down until the last of them.
///
/// ```
/// use std::num::NonZeroU32;
/// use tower_mcp_gateway::health::Thresholds;
///
/// let patient = Thresholds { fall: NonZeroU32::new(3).unwrap(), ..Thresholds::default() };
/// assert_eq!(patient.rise.get(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures after which a healthy endpoint is not any more: 1, so that the next check notices.
    pub fall: NonZeroU32,
    /// Successes after which an unhealthy endpoint is healthy again: 1.
    pub rise: NonZeroU32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { fall: NonZeroU32::MIN, rise: NonZeroU32::MIN }
    }
}

/// Whether an endpoint gets calls.
///
/// An endpoint that nobody has asked is not taken for well: the first call would find out what a probe can.
///
/// ```
/// use tower_mcp_gateway::health::Verdict;
///
/// let verdict = Verdict::Ill("connection refused".into());
/// assert!(!verdict.is_well() && !Verdict::default().is_well());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nobody has been able to ask it yet.
    #[default]
    Unknown,
    /// It does.
    Well,
    /// It does not, for this reason.
    Ill(Arc<str>),
}

impl Verdict {
    /// Whether it is [`Well`](Verdict::Well).
    pub fn is_well(&self) -> bool {
        *self == Verdict::Well
    }
}

/// The verdict on each endpoint of a board.
#[derive(Clone, Debug, Default)]
pub struct Verdicts(HashMap<EndpointId, Verdict>);

impl Verdicts {
    /// The verdict on `endpoint`; unknown if the board has no such entry.
    pub fn get(&self, endpoint: &str) -> Verdict {
        self.0.get(endpoint).cloned().unwrap_or_default()
    }

    /// Whether `endpoint` is well.
    pub fn is_well(&self, endpoint: &str) -> bool {
        self.0.get(endpoint).is_some_and(Verdict::is_well)
    }

    /// Each endpoint with its verdict, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EndpointId, &Verdict)> {
        self.0.iter()
    }

    /// Sets a verdict and tells whether that changed anything. Only endpoints that have an entry get one.
    pub(super) fn set(&mut self, endpoint: &EndpointId, verdict: &Verdict) -> bool {
        match self.0.get_mut(endpoint) {
            Some(known) if known != verdict => {
                *known = verdict.clone();
                true
            }
            _ => false,
        }
    }
}

impl FromIterator<(EndpointId, Verdict)> for Verdicts {
    fn from_iter<I: IntoIterator<Item = (EndpointId, Verdict)>>(verdicts: I) -> Self {
        Self(verdicts.into_iter().collect())
    }
}

impl Board {
    /// A board without entries, whose verdicts change by these thresholds.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// The entry of `id`, made if there is none, of an endpoint without peers.
    pub fn endpoint(&self, id: &EndpointId) -> Vital {
        self.endpoint_in(id, &Peers::default())
    }

    /// The entry of `id`, made if there is none, of an endpoint in a pool with these peers.
    pub fn endpoint_in(&self, id: &EndpointId, peers: &Peers) -> Vital {
        let mut vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            self.verdicts.send_modify(|verdicts| {
                verdicts.0.insert(id.clone(), Verdict::Unknown);
            });
            Vital::new(id.clone(), self.thresholds, self.verdicts.clone(), peers.clone())
        };
        vitals.entry(id.clone()).or_insert_with(make).clone()
    }

    /// A new entry of `id` in place of the one there is, for an endpoint that takes over from another of its id.
    ///
    /// It begins as well as its predecessor is, so that calls go on from one to the other; its own first check decides.
    pub(crate) fn succeed(&self, id: &EndpointId, peers: &Peers) -> Vital {
        let mut vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        let heir = Vital::new(id.clone(), self.thresholds, self.verdicts.clone(), peers.clone());
        let old = vitals.insert(id.clone(), heir.clone());
        heir.inherit(old.is_some_and(|old| old.retire()));
        heir
    }

    /// Frees the entry of `id`. Its [`Vital`] is not well from then on, its [`Probe`](super::Probe) ends, and a later
    /// [`endpoint`](Board::endpoint) of the same id begins anew.
    pub fn forget(&self, id: &EndpointId) {
        let mut vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vital) = vitals.remove(id) {
            vital.forget();
            self.verdicts.send_modify(|verdicts| {
                verdicts.0.remove(id);
            });
        }
    }

    /// The verdict on `id`; unknown if there is no entry.
    pub fn verdict(&self, id: &str) -> Verdict {
        self.verdicts.borrow().get(id)
    }

    /// The last probe of `id`.
    pub fn last_check(&self, id: &str) -> Option<HealthCheck> {
        let vitals = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        vitals.get(id)?.last_check()
    }

    /// All verdicts, now and whenever one changes.
    pub fn subscribe(&self) -> watch::Receiver<Verdicts> {
        self.verdicts.subscribe()
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Board").field(&self.verdicts.borrow().0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::breaker::FAILURES, *};
    use std::time::{Duration, SystemTime};

    fn up(vital: Vital) -> Vital {
        let (server_id, latency, checked_at) = (vital.id().clone(), Duration::ZERO, SystemTime::UNIX_EPOCH);
        vital.checked(HealthCheck { server_id, healthy: true, latency, error: None, checked_at }, vital.epoch());
        vital
    }

    /// Fails as many calls as open a breaker; tells whether its peers let it open.
    fn opens(vital: &Vital) -> bool {
        for _ in 0..FAILURES {
            vital.failed(vital.admit().unwrap());
        }
        !vital.is_well()
    }

    #[test]
    fn one_that_is_replaced_keeps_nobodys_breaker_closed() {
        let (board, peers) = (Board::default(), Peers::default());
        let old = up(board.endpoint_in(&"a".into(), &peers));
        assert!(opens(&old));
        let heir = up(board.succeed(&"a".into(), &peers));
        assert!(heir.is_well() && opens(&heir), "the old one is not out any more");
    }

    #[test]
    fn one_that_is_replaced_lets_nobodys_breaker_open() {
        let (board, peers) = (Board::default(), Peers::default());
        let [old, second, third] = ["a", "b", "c"].map(|id| up(board.endpoint_in(&id.into(), &peers)));
        let heir = board.succeed(&"a".into(), &peers);
        assert!(heir.is_well() && old.is_well(), "the pool has one or the other");
        assert!(opens(&second) && !opens(&third), "one of three is half of them");
    }

    #[test]
    fn one_that_is_replaced_has_said_its_last_word() {
        let board = Board::default();
        let old = up(board.endpoint(&"a".into()));
        let late = old.admit().unwrap();
        let heir = board.succeed(&"a".into(), &Peers::default());
        old.disconnected(late, "gone");
        old.succeeded(late);
        assert!(board.verdict("a").is_well() && heir.is_well());
        assert!(old.is_well(), "calls that the pool still sends there reach a server");
    }
}
