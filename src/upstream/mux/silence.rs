use super::{Kind, Mux, Slot, State};
use std::{num::NonZeroU32, sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::time::Instant;

/// The time that a check has by default.
const CHECK: Duration = Duration::from_secs(5);

/// How a server that stopped talking is told from one that has nothing to say: it leaves checks unanswered, which any
/// server answers at once, and says nothing else meanwhile.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Messages there had been when the present connection began.
    born: u64,
    /// Messages there had been when the latest check was given up.
    heard: u64,
    /// Checks given up in a row without a message in between.
    checks: u32,
    /// When a cancellation went out with a request that any server answers at once, and how many messages there had been:
    /// the first of those that nothing has been heard since.
    asked: Option<(u64, Instant)>,
    /// So many are enough; never, unless set.
    patience: Option<NonZeroU32>,
    hung: bool,
}

impl Mux {
    /// For a server that can be begun anew: after so many checks in a row without a word of it, [`hung`](Mux::hung)
    /// tells.
    #[must_use]
    pub fn impatient(self, patience: NonZeroU32) -> Self {
        self.lock().silence.patience = Some(patience);
        self
    }

    /// Completes when the server of the present connection has stopped talking: it had answered before, has now left
    /// checks unanswered and said nothing else, and no client's call is out that it might be busy with. Such calls end
    /// by their own deadlines first.
    pub async fn hung(&self) {
        loop {
            let told = self.shared.hung.notified();
            if self.lock().silence.hung {
                return;
            }
            told.await;
        }
    }

    /// A message could not be written for long, during which the server took none of it; `heard` is what
    /// [`heard`](Mux::heard) said when that began. Says what it is now.
    #[cfg(any(test, feature = "stdio"))]
    pub fn stuck(&self, heard: u64) -> u64 {
        let (now, mut state) = (self.heard(), self.lock());
        if now == heard && heard > state.silence.born && state.silence.patience.is_some() && !state.is_busy() {
            state.silence.hung = true;
            self.shared.hung.notify_one();
        }
        now
    }

    /// Messages the server has sent on all connections.
    pub fn heard(&self) -> u64 {
        self.shared.heard.load(Relaxed)
    }
}

impl State {
    /// A connection begins, `heard` messages after the first one did.
    pub(super) fn listen_anew(&mut self, heard: u64) {
        let patience = self.silence.patience;
        self.silence = Silence { born: heard, heard, patience, ..Silence::default() };
    }

    /// Looks at a call that was given up, `heard` messages after the first connection began; whether that makes the
    /// server one that hangs.
    pub(super) fn ignored(&mut self, slot: &Slot, heard: u64) -> bool {
        let silence = &mut self.silence;
        // Calls of clients are no checks. What goes out with their cancellation is one, where it had the time of one.
        let is_check = match slot.kind {
            Kind::Check => true,
            _ => slot.is_work && silence.asked.is_some_and(|(at, when)| at == heard && when.elapsed() >= CHECK),
        };
        let Some(patience) = silence.patience.filter(|_| is_check && slot.is_open()) else {
            return false;
        };
        let silent = slot.heard == heard && heard > silence.born;
        silence.checks = match (silent, silence.heard == heard) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => silence.checks + 1,
        };
        silence.heard = heard;
        if silence.checks >= patience.get() && !self.is_busy() {
            self.silence.hung = true;
        }
        self.silence.hung
    }

    /// A cancellation goes out with a request that any server answers at once.
    pub(super) fn asked_with_cancellation(&mut self, heard: u64) {
        if self.silence.asked.is_none_or(|(at, _)| at != heard) {
            self.silence.asked = Some((heard, Instant::now()));
        }
    }

    /// Whether a client's call is out that may take as long as it does.
    fn is_busy(&self) -> bool {
        self.slots.values().any(|slot| slot.is_work && slot.is_open())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Mux,
        tests::{deliver, outbound, sent},
    };
    use super::CHECK;
    use crate::{Method, upstream::OfClient};
    use futures_util::FutureExt;
    use std::num::NonZeroU32;

    #[test]
    fn a_server_hangs_that_answers_no_check_and_says_nothing_and_has_nothing_to_do() {
        let mux = Mux::new().impatient(NonZeroU32::new(2).unwrap());
        mux.connect();
        let hung = || mux.hung().now_or_never().is_some();
        let ignored = || drop(sent(&mux, Method::PING, "{}"));
        (0..3).for_each(|_| ignored());
        assert!(!hung(), "it never spoke: it may be starting");
        deliver(&mux, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into());
        ignored();
        assert!(!hung(), "one is not enough");
        let busy = sent(&mux, Method::PING, "{}");
        let _ = mux.deliver("a line of a log".into());
        drop(busy);
        ignored();
        assert!(!hung(), "not in a row");
        let call = sent(&mux, Method::TOOLS_CALL, "{}");
        (0..3).for_each(|_| ignored());
        assert!(!hung(), "it may be busy with the call");
        drop(call);
        assert!(!hung(), "only a check tells");
        ignored();
        assert!(hung());
        mux.connect();
        assert!(!hung(), "the next one begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_hangs_that_is_asked_by_nobody_but_clients_and_does_not_read_their_cancellations() {
        let mux = Mux::new().impatient(NonZeroU32::MIN);
        mux.connect();
        let hung = || mux.hung().now_or_never().is_some();
        let give_up = || {
            let mut call = outbound(&mux, Method::TOOLS_CALL, "{}");
            call.call.extensions.insert(OfClient::default());
            let (_, ticket) = mux.open(&call).unwrap();
            assert!(mux.begin(ticket.id()));
            drop(ticket);
        };
        let _ = mux.deliver("a banner".into());
        give_up();
        give_up();
        assert!(!hung(), "two cancellations at once leave no time for an answer");
        tokio::time::advance(CHECK).await;
        let _ = mux.deliver("a line of a log".into());
        give_up();
        assert!(!hung(), "it lives");
        tokio::time::advance(CHECK).await;
        give_up();
        assert!(hung());
    }

    #[test]
    fn a_server_hangs_that_takes_nothing_and_says_nothing() {
        let mux = Mux::new().impatient(NonZeroU32::MIN);
        mux.connect();
        let hung = || mux.hung().now_or_never().is_some();
        assert_eq!(mux.stuck(mux.heard()), 0);
        assert!(!hung(), "it never spoke");
        let _ = mux.deliver("a banner".into());
        assert_eq!(mux.stuck(0), 1, "it spoke meanwhile");
        let call = sent(&mux, Method::TOOLS_CALL, "{}");
        mux.stuck(1);
        assert!(!hung(), "it may be busy with the call");
        drop(call);
        mux.stuck(1);
        assert!(hung());
    }
}
