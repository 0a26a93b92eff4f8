use super::{INPUT_RESPONSES, Park};
use crate::{
    BoxError, Call,
    reply::{Ask, Event, Events, Outcome},
    upstream::{ask::MAX_ASKS, era::abilities::Abilities},
};
use futures_util::StreamExt;
use std::{fmt, sync::Weak, time::Duration};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// A call that is open at its server, and what the server wants to know to go on. Dropping it cancels the call.
pub(in crate::upstream::era) struct Parked {
    /// Each under the name it has in `inputRequests`.
    pub(in crate::upstream::era) asks: Vec<(String, Ask)>,
    /// Questions so far, for the next one's name.
    asked: usize,
    /// What the client that waits declared.
    abilities: Abilities,
    events: Events,
    /// How the call ended meanwhile.
    over: Option<Result<Outcome, BoxError>>,
}

impl Parked {
    pub(in crate::upstream::era) fn new(events: Events, abilities: Abilities) -> Self {
        Self { asks: Vec::new(), asked: 0, abilities, events, over: None }
    }

    /// One more question; without effect, so that it is refused, if there are too many.
    pub(in crate::upstream::era) fn ask(&mut self, ask: Ask) {
        if self.asks.len() < MAX_ASKS {
            self.asked += 1;
            self.asks.push((format!("ask-{}", self.asked), ask));
        }
    }

    /// Gives the server the answers that the retry brings. Questions without one stay.
    pub(in crate::upstream::era) fn answer(&mut self, retry: &Call) {
        let Some(answers) = retry.params.member(INPUT_RESPONSES) else { return };
        let mut unanswered = Vec::new();
        for (key, ask) in self.asks.drain(..) {
            // What is no object answers no question there is.
            match answers.member(&key).filter(|answer| answer.as_bytes().starts_with(b"{")) {
                Some(answer) => ask.answer(Ok(answer.unshared())),
                None => unanswered.push((key, ask)),
            }
        }
        self.asks = unanswered;
    }

    /// What the client declares now.
    pub(in crate::upstream::era) fn declare(&mut self, abilities: Abilities) {
        self.abilities = abilities;
    }

    pub(in crate::upstream::era) fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// The next event of the call; what it ended with while nobody listened, if it did.
    pub(in crate::upstream::era) fn poll_next(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Event, BoxError>>> {
        match self.over.take() {
            Some(over) => std::task::Poll::Ready(Some(over.map(Event::Done))),
            None => self.events.poll_next_unpin(cx),
        }
    }

    /// Takes what comes while nobody listens: notes are for nobody, questions wait, and the end is kept.
    fn take(&mut self, event: Option<Result<Event, BoxError>>) {
        match event {
            Some(Ok(Event::Note(_) | Event::Part(_))) => {}
            Some(Ok(Event::Ask(ask))) if self.abilities.lack(&ask).is_none() => self.ask(*ask),
            Some(Ok(Event::Ask(ask))) => drop(ask),
            Some(Ok(Event::Done(outcome))) => self.over = Some(Ok(outcome)),
            Some(Err(error)) => self.over = Some(Err(error)),
            None => self.over = Some(Err(crate::error::Unfinished::new().into())),
        }
        self.asks.retain(|(_, ask)| !ask.is_moot());
    }
}

/// Reads on for a parked call until somebody claims it, nobody can any more, or its time is up.
pub(super) async fn until_claimed(
    park: Weak<Park>,
    id: u128,
    mut parked: Parked,
    mut claimed: oneshot::Receiver<oneshot::Sender<Parked>>,
    patience: Duration,
) {
    let lapse = sleep_until(Instant::now() + patience);
    tokio::pin!(lapse);
    loop {
        tokio::select! {
            biased;
            claim = &mut claimed => {
                // A claimant that is gone by now has cancelled the call.
                if let Ok(hand_over) = claim {
                    let _ = hand_over.send(parked);
                }
                return;
            }
            () = &mut lapse => {
                park.upgrade().map(|park| park.lock().remove(&id));
                return;
            }
            event = parked.events.next(), if parked.over.is_none() => parked.take(event),
        }
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").field("asks", &self.asks).field("over", &self.over).finish_non_exhaustive()
    }
}
