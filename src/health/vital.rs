use super::{
    HealthCheck, Peers, Verdict, Verdicts,
    board::Thresholds,
    breaker::{Breaker, FAILURES},
    error::Open,
    peers::Up,
    share::{Share, Warmth},
};
use crate::EndpointId;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// One endpoint's entry of a [`Board`](super::Board): where its probe and its calls report to. Clones are the same entry.
///
/// Give it to the endpoint's [`Probe`](super::Probe), [`ObserveLayer`](super::observe::ObserveLayer) and
/// [`Meter`](crate::load::Meter::with_vital). Reading it takes no lock, and neither does reporting a success while there
/// is nothing it could change.
///
/// ```
/// use tower_mcp_gateway::{health::{Board, Verdict}, load::Meter};
///
/// let board = Board::default();
/// let vital = board.endpoint(&"search-1".into());
/// let meter = Meter::with_vital(1, vital.clone());
/// assert_eq!(vital.verdict(), Verdict::Unknown);
/// assert!(!meter.is_well(), "no probe has had an answer yet");
/// ```
#[derive(Clone)]
pub struct Vital(Arc<Inner>);

struct Inner {
    id: EndpointId,
    thresholds: Thresholds,
    peers: Peers,
    board: Arc<watch::Sender<Verdicts>>,
    // What calls read without the lock; written under it.
    well: AtomicBool,
    quiet: AtomicBool,
    epoch: AtomicU64,
    opened: AtomicU64,
    share: Share,
    state: Mutex<State>,
    wake: Notify,
    forgotten: CancellationToken,
}

struct State {
    probed: Probed,
    breaker: Breaker,
    // Probes in a row that contradict `probed`.
    contrary: u32,
    last: Option<HealthCheck>,
    // Some while `probed` is up.
    up: Option<Up>,
    warmth: Warmth,
    // Another has its id.
    retired: bool,
}

#[derive(Clone)]
enum Probed {
    Unknown,
    Up,
    Down(Arc<str>),
}

/// A call that was let through, with the epoch it belongs to.
///
/// Each failure that takes the endpoint out begins a new epoch: what calls of an earlier one tell is old news, so that
/// the hundredth call cut off with one dead connection does not take out the endpoint that has just come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    epoch: u64,
    trial: bool,
}

impl Vital {
    pub(super) fn new(
        id: EndpointId,
        thresholds: Thresholds,
        board: Arc<watch::Sender<Verdicts>>,
        peers: Peers,
    ) -> Self {
        let state = State {
            probed: Probed::Unknown,
            breaker: Breaker::new(),
            contrary: 0,
            last: None,
            up: None,
            warmth: Warmth::default(),
            retired: false,
        };
        Self(Arc::new(Inner {
            id,
            thresholds,
            peers,
            board,
            well: AtomicBool::new(false),
            quiet: AtomicBool::new(true),
            epoch: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            share: Share::new(),
            state: Mutex::new(state),
            wake: Notify::new(),
            forgotten: CancellationToken::new(),
        }))
    }

    /// The endpoint.
    pub fn id(&self) -> &EndpointId {
        &self.0.id
    }

    /// Whether a call may go there at this moment: one atomic load, true or false from the moment a failure or a
    /// recovery is seen. Also false while the one call of a half-open breaker is out.
    pub fn is_well(&self) -> bool {
        self.0.well.load(Ordering::Acquire)
    }

    /// The part of its usual calls that it should get, from 0.1 to 1: an endpoint that comes back begins with a tenth and
    /// has all of them after 10 s. One that comes up for the first time gets all at once, as its siblings do.
    pub fn share(&self) -> f32 {
        self.0.share.get()
    }

    /// Whether the endpoint should be considered for one more call: always, but while its [`share`](Vital::share) still
    /// grows. Then it takes 20 turns a second, and its share of the others by chance.
    pub fn takes_turn(&self) -> bool {
        self.0.share.takes_turn()
    }

    /// How often calls in a row failed until its breaker opened.
    pub fn breaker_opened(&self) -> u64 {
        self.0.opened.load(Ordering::Relaxed)
    }

    /// The verdict the board shows.
    pub fn verdict(&self) -> Verdict {
        self.0.state().verdict()
    }

    /// The last probe.
    pub fn last_check(&self) -> Option<HealthCheck> {
        self.0.state().last.clone()
    }

    // ===== for the probe =====

    pub(super) fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// Completes when the board has forgotten the endpoint.
    pub(super) async fn forgotten(&self) {
        self.0.forgotten.cancelled().await;
    }

    /// When the breaker wants a [`tick`](Vital::tick).
    pub(super) fn half_opens_at(&self) -> Option<Instant> {
        self.0.state().breaker.until()
    }

    pub(super) fn tick(&self) {
        self.0.change(|state| state.breaker.tick(Instant::now()));
    }

    /// Completes when the endpoint should be probed at once. Wishes made meanwhile are one.
    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Takes the result of a probe that began in `epoch`.
    pub(super) fn checked(&self, check: HealthCheck, epoch: u64) {
        let thresholds = self.0.thresholds;
        self.0.change(|state| {
            // A connection that failed while the probe was out knows more than its answer.
            let outdated = check.healthy && epoch != self.epoch();
            if !outdated {
                state.probed(&check, thresholds);
            }
            state.last = Some(check);
        });
    }

    // ===== for observed calls =====

    /// Lets a call through.
    pub(super) fn admit(&self) -> Result<Admission, Open> {
        if self.0.quiet.load(Ordering::Acquire) {
            return Ok(Admission { epoch: self.epoch(), trial: false });
        }
        let trial = self.0.change(|state| {
            state.breaker.tick(Instant::now());
            state.breaker.admit()
        });
        match trial {
            Some(trial) => Ok(Admission { epoch: self.epoch(), trial }),
            None => Err(Open(())),
        }
    }

    /// The server has said something. That is all a half-open breaker waits for.
    pub(super) fn answered(&self, admission: Admission) {
        if admission.trial && admission.epoch == self.epoch() {
            self.0.change(|state| {
                if !state.breaker.is_closed() {
                    state.breaker.close();
                }
            });
        }
    }

    /// The call had an outcome.
    pub(super) fn succeeded(&self, admission: Admission) {
        self.answered(admission);
        if !self.0.quiet.load(Ordering::Acquire) || admission.trial {
            self.0.change(|state| {
                if state.breaker.is_closed() && admission.epoch == self.epoch() {
                    state.breaker.succeeded();
                }
            });
        }
    }

    /// The call ended without telling anything about the server.
    pub(super) fn released(&self, admission: Admission) {
        if admission.trial && admission.epoch == self.epoch() {
            self.0.change(|state| state.breaker.release());
        }
    }

    /// Whether a failure is news, and of an endpoint that still is one.
    fn counts(&self, admission: Admission) -> bool {
        admission.epoch == self.epoch() && !self.0.forgotten.is_cancelled()
    }

    /// The call failed, though its connection did not.
    pub(super) fn failed(&self, admission: Admission) {
        self.0.change(|state| {
            if self.counts(admission) && self.0.breaks(state) {
                self.0.next_epoch();
                // The probe keeps the breaker's time.
                self.0.wake.notify_one();
            }
        });
    }

    /// The call's connection failed.
    pub(super) fn disconnected(&self, admission: Admission, reason: &str) {
        self.0.change(|state| {
            if self.counts(admission) {
                // Counted too: a server that dies of every call comes back for each probe.
                self.0.breaks(state);
                state.probed = Probed::Down(reason.into());
                state.contrary = 0;
                self.0.next_epoch();
                self.0.wake.notify_one();
            } else if matches!(state.probed, Probed::Up) {
                // Old news, or the first sign of another failure: only asking tells.
                self.0.wake.notify_one();
            }
        });
    }

    // ===== for the board =====

    /// Ends the entry in favour of another: it writes to the board no more, and does not count among the peers. Until the
    /// pool has the other it stays as well as it was, so that calls go on. Says whether it was.
    pub(super) fn retire(&self) -> bool {
        // Under the lock: whoever is about to write a verdict does so before the other begins.
        self.0.change(|state| {
            self.0.forgotten.cancel();
            state.retired = true;
            state.breaker.close();
            self.is_well()
        })
    }

    /// Begins as well as a predecessor was. The first check that says otherwise is believed at once.
    pub(super) fn inherit(&self, well: bool) {
        let fall = self.0.thresholds.fall.get();
        self.0.change(|state| {
            if well {
                (state.probed, state.contrary) = (Probed::Up, fall - 1);
            }
        });
    }

    /// Ends the entry: it is never well again and writes to the board no more.
    pub(super) fn forget(&self) {
        self.0.change(|state| {
            self.0.forgotten.cancel();
            // Whoever still reports a call must not count among the peers.
            state.breaker.close();
        });
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Edits the state, then shows what it amounts to: to calls at once, to the board if the verdict changed. The lock
    /// is held over both, so verdicts are told in the order they came about.
    #[cold]
    fn change<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let out = edit(&mut state);
        let up = matches!(state.probed, Probed::Up) && !self.forgotten.is_cancelled();
        if up != state.up.is_some() {
            state.up = up.then(|| self.peers.up());
        }
        match up {
            true => state.breaker.come(&self.peers),
            false => state.breaker.leave(),
        }
        let serves = up && state.breaker.is_closed();
        if state.warmth.is_back(serves) {
            self.share.begin();
        }
        if !state.retired {
            self.well.store(up && state.breaker.is_free(), Ordering::Release);
        }
        self.quiet.store(state.breaker.is_closed() && state.breaker.failures() == 0, Ordering::Release);
        if !self.forgotten.is_cancelled() {
            let verdict = state.verdict();
            self.board.send_if_modified(|verdicts| verdicts.set(&self.id, &verdict));
        }
        out
    }

    /// Counts a failure; tells whether that opened the breaker.
    fn breaks(&self, state: &mut State) -> bool {
        let opened = state.breaker.failed(Instant::now(), &self.peers);
        self.opened.fetch_add(opened.into(), Ordering::Relaxed);
        opened
    }

    fn next_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

impl State {
    fn verdict(&self) -> Verdict {
        match &self.probed {
            Probed::Down(reason) => Verdict::Ill(reason.clone()),
            Probed::Unknown => Verdict::Unknown,
            Probed::Up if self.breaker.is_visible() => Verdict::Well,
            Probed::Up => Verdict::Ill(format!("{FAILURES} calls in a row failed").into()),
        }
    }

    fn probed(&mut self, check: &HealthCheck, thresholds: Thresholds) {
        let reason = || check.error.as_deref().unwrap_or("the health check failed").into();
        let agrees = match &self.probed {
            // The first result decides alone: nothing is known that it could contradict.
            Probed::Unknown => false,
            Probed::Up => check.healthy,
            Probed::Down(_) => !check.healthy,
        };
        let needed = match &self.probed {
            Probed::Unknown => 1,
            Probed::Up => thresholds.fall.get(),
            Probed::Down(_) => thresholds.rise.get(),
        };
        self.contrary = if agrees { 0 } else { self.contrary + 1 };
        if self.contrary >= needed {
            self.contrary = 0;
            self.probed = if check.healthy { Probed::Up } else { Probed::Down(reason()) };
        } else if let (Probed::Down(known), Some(error)) = (&mut self.probed, check.error.as_deref())
            && error != &**known
        {
            *known = error.into();
        }
    }
}

impl fmt::Debug for Vital {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vital = f.debug_struct("Vital");
        vital.field("id", &self.0.id).field("well", &self.is_well()).finish_non_exhaustive()
    }
}
