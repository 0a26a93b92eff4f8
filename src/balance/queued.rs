use super::Turn;
use crate::{
    moment::{Board, Moment},
    timer::Timer,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// How long the first in the queue of a pool waits between two looks. It is told of calls that end; what becomes free otherwise
/// is found by the clock. Others do not look by the clock: they would take what the first was told of.
const PAUSE: Duration = Duration::from_millis(100);

/// Ready when the call of a [`Turn`] should look for room: it was told of some, has waited for too long, or is the first and
/// has not been told for a while.
pub(crate) struct Queued {
    turn: Turn,
    clock: Clock,
}

/// Most turns come before the first moment is over, and need no timer.
enum Clock {
    Stopped,
    Moment(Moment),
    Timer(Timer),
}

impl Queued {
    pub(crate) fn new(turn: Turn) -> Self {
        Self { turn, clock: Clock::Stopped }
    }

    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }
}

impl Future for Queued {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.turn.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let now = Instant::now();
            let timer = || Clock::Timer(Timer::new(now + PAUSE));
            self.clock = match &mut self.clock {
                Clock::Stopped => match Board::at_hand() {
                    Some(board) => Clock::Moment(board.begin(now, cx.waker())),
                    None => timer(),
                },
                Clock::Moment(moment) => {
                    ready!(moment.poll_over(cx));
                    timer()
                }
                Clock::Timer(rung) => {
                    ready!(rung.poll(cx));
                    if self.turn.is_first() || now >= self.turn.until() {
                        return Poll::Ready(());
                    }
                    timer()
                }
            };
        }
    }
}
