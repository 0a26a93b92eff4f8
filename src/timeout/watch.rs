use super::{
    Lapse,
    error::{Elapsed, Limit, Stopping},
    question::{Question, Questions},
};
use crate::{
    BoxError, clock,
    moment::{Board, MOMENT, Moment},
    timer::Timer,
};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Durations too large to add are no deadline anyone waits for.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Questions of one call that stop its clocks. A person is asked a few; a server that asked again whenever it was refused would
/// stop them for ever.
const MAX_STOPS: u32 = 256;

/// How long a call may take.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) idle: Duration,
    pub(super) total: Duration,
    pub(super) ask: Duration,
    pub(super) cut: Option<CancellationToken>,
}

/// When a call must have been heard of and when it must be over.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    bounds: Arc<Bounds>,
    /// Moved on by the time that questions were open.
    started: Instant,
    heard: Instant,
    /// Since when a question has been open.
    asked: Option<Instant>,
    /// How many questions were asked.
    stops: u32,
    /// `None` until the first question.
    questions: Option<Questions>,
    lapse: Lapse,
}

impl Terms {
    pub(super) fn new(bounds: Arc<Bounds>, lapse: Lapse) -> Self {
        let now = clock::now();
        Self { bounds, started: now, heard: now, asked: None, stops: 0, questions: None, lapse }
    }

    /// The next deadline, and what it stands for.
    fn next(&self) -> (Instant, Elapsed) {
        let Bounds { total, ask, .. } = *self.bounds;
        let idle = self.idle();
        if let Some(asked) = self.asked {
            return (asked + ask.min(FAR), Elapsed(ask, Limit::Ask));
        }
        let silence = self.heard + idle.min(FAR);
        let end = self.started + total.min(FAR);
        if end < silence { (end, Elapsed(total, Limit::Total)) } else { (silence, Elapsed(idle, Limit::Silence)) }
    }

    /// The longest silence: that of what is called where it has one of its own.
    fn idle(&self) -> Duration {
        self.lapse.silence().unwrap_or(self.bounds.idle)
    }

    /// A server that told something within the longest silence is alive: its call just took too long. One that waits
    /// for a person is not silent at all.
    fn is_silence(&self, now: Instant) -> bool {
        let silent = self.heard == self.started || now.duration_since(self.heard) >= self.idle();
        self.asked.is_none() && silent
    }

    /// Ready once a timer is due: when the first moment is over, or at once where the deadline is not well behind it.
    fn poll_begun(&self, moment: &mut Option<Moment>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if deadline < self.heard + 4 * MOMENT {
            return Poll::Ready(());
        }
        if let Some(moment) = moment {
            return moment.poll_over(cx);
        }
        let Some(board) = Board::at_hand() else { return Poll::Ready(()) };
        *moment = Some(board.begin(self.heard, cx.waker()));
        Poll::Pending
    }

    /// Sets the clocks going again once the last question is answered.
    fn poll_answered(&mut self, timer: &mut Option<Timer>, cx: &mut Context<'_>) {
        if let (Some(asked), Some(questions)) = (self.asked, &self.questions)
            && questions.are_answered(cx.waker())
        {
            self.answered(asked, Instant::now());
            if let Some(timer) = timer {
                timer.reset(self.next().0);
            }
        }
    }

    /// The last question was answered: the clocks go on from where they stood.
    fn answered(&mut self, asked: Instant, now: Instant) {
        self.started += now.duration_since(asked);
        (self.heard, self.asked) = (now, None);
    }
}

pin_project! {
    /// One timer for all deadlines, set once the first moment is over. Being heard of only notes the time: the timer is moved
    /// when it fires too early, so a stream of many events does not touch the runtime's timers for each.
    #[derive(Debug)]
    pub(super) struct Watch {
        terms: Terms,
        moment: Option<Moment>,
        timer: Option<Timer>,
        cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    }
}

impl Watch {
    pub(super) fn new(terms: Terms) -> Self {
        Self { terms, moment: None, timer: None, cut: None }
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(super) fn heard(self: Pin<&mut Self>) {
        self.project().terms.heard = clock::now();
    }

    /// As [`heard`](Self::heard), and ready with the reason when the call must end all the same. This asks the clock itself: a
    /// stream in which there is always more leaves the runtime no turn in which a timer would ring.
    pub(super) fn poll_heard(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BoxError> {
        let this = self.project();
        let now = Instant::now();
        this.terms.heard = now;
        if this.terms.bounds.cut.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return Poll::Ready(Stopping(()).into());
        }
        this.terms.poll_answered(this.timer, cx);
        match this.terms.next() {
            (deadline, elapsed) if now >= deadline => {
                this.terms.lapse.end();
                Poll::Ready(elapsed.into())
            }
            _ => Poll::Pending,
        }
    }

    /// Stops the clocks until the question is answered or refused, which drops the guard; not for one of too many.
    pub(super) fn asked(self: Pin<&mut Self>) -> Question {
        let mut this = self.project();
        if this.terms.stops == MAX_STOPS {
            return Questions::default().ask();
        }
        this.terms.stops += 1;
        this.terms.asked.get_or_insert_with(Instant::now);
        if let Some(timer) = &mut this.timer {
            timer.reset(this.terms.next().0);
        }
        this.terms.questions.get_or_insert_default().ask()
    }

    /// Ready with the reason when the call must end.
    pub(super) fn poll_over(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BoxError> {
        let mut this = self.project();
        if this.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Stopping(()).into());
        }
        this.terms.poll_answered(this.timer, cx);
        let (deadline, _) = this.terms.next();
        let timer = match &mut this.timer {
            Some(timer) => timer,
            none => {
                ready!(this.terms.poll_begun(this.moment, deadline, cx));
                *this.moment = None;
                if let Some(cut) = this.terms.bounds.cut.clone() {
                    let cut = this.cut.insert(Box::pin(cut.cancelled_owned()));
                    if cut.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Stopping(()).into());
                    }
                }
                none.insert(Timer::new(deadline))
            }
        };
        // What is called may turn out only now to have a shorter silence.
        if deadline < timer.deadline() {
            timer.reset(deadline);
        }
        loop {
            ready!(timer.poll(cx));
            let (deadline, elapsed) = this.terms.next();
            let now = Instant::now();
            if now >= deadline {
                match this.terms.is_silence(now) {
                    true => this.terms.lapse.set(),
                    false => this.terms.lapse.end(),
                }
                return Poll::Ready(elapsed.into());
            }
            timer.reset(deadline);
        }
    }
}
