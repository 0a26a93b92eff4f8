use super::{
    backoff::Backoff,
    child::{CannotStart, Recipe},
    connection::{self, End, Exchange, LEFTOVER, Output},
    group::{Group, REAP},
    service::{Counters, Frame, Phase},
};
use crate::{
    EndpointId,
    upstream::{Settings, mux::Mux},
};
use futures_util::FutureExt;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    process::Child,
    sync::{mpsc, watch},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

/// Owns the child of one server, from one start to the next.
pub(super) struct Driver {
    pub(super) id: EndpointId,
    pub(super) recipe: Recipe,
    pub(super) settings: Arc<Settings>,
    pub(super) mux: Mux,
    pub(super) queue: mpsc::Receiver<Frame>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) counters: Arc<Counters>,
    /// Cancelled once the last handle and the last reply are gone.
    pub(super) released: CancellationToken,
    /// Cancelled when the child must go at once, whoever still uses it.
    pub(super) hurry: CancellationToken,
}

impl Driver {
    /// Starts the child again and again until nobody wants it; returns when no process is left.
    pub(super) async fn run(mut self) {
        self.mux.read_here();
        let mut backoff = Backoff::default();
        let mut told = None;
        while !self.released.is_cancelled() && !self.hurry.is_cancelled() {
            let born = Instant::now();
            self.counters.start();
            let phase = match self.recipe.spawn() {
                Ok(child) => match self.serve(child).await.reason() {
                    None => return,
                    Some(reason) => Phase::Down(reason),
                },
                Err(error) => Phase::CannotStart(error),
            };
            let rest = backoff.after(born.elapsed());
            self.announce(&phase, rest, &mut told);
            self.phase.send_replace(phase);
            self.rest(rest).await;
        }
    }

    /// One child, from its start to its end and the end of its group.
    async fn serve(&mut self, mut child: Child) -> End {
        // First of all: until then nobody but this process knows of the child.
        let group = Group::of(&child, self.settings.watchdog.as_ref());
        let output = Output::of(&mut child, self.settings.max_message_bytes);
        let (Some(mut group), Some(mut output)) = (group, output) else {
            return End::Broken("it has no pipes");
        };
        let epoch = self.mux.connect();
        self.phase.send_replace(Phase::Up(epoch));
        tracing::debug!(server = %self.id, epoch, "child started");
        let exchange = Exchange {
            id: &self.id,
            mux: &self.mux,
            epoch,
            queue: &mut self.queue,
            released: &self.released,
            hurry: &self.hurry,
            counters: &self.counters,
        };
        let end = connection::run(exchange, &mut child, &mut group, &mut output).await;
        // Before the child is stopped, which takes time: what is in flight has failed already. Whoever waited for it can
        // ask why.
        self.phase.send_replace(Phase::Down(end.reason().unwrap_or_else(|| "the child is being stopped".into())));
        self.mux.fail_all();
        let drained = output.drain(&self.id, &self.counters);
        if matches!(end, End::Hung) {
            // It would hear neither a closed stdin nor SIGTERM.
            group.kill();
            let _ = time::timeout(REAP, child.wait()).await;
        }
        if matches!(end, End::Exited(_) | End::Hung) {
            let _ = time::timeout(LEFTOVER, drained).await;
            return end;
        }
        let stopped = group.stop(&mut child, (self.settings.stop_grace, self.settings.kill_grace), &self.hurry);
        tokio::select! {
            () = stopped => end,
            never = drained.then(|()| std::future::pending::<Infallible>()) => match never {},
        }
    }

    /// Waits for the next start, and meanwhile lets frames of earlier connections go, whose calls have failed.
    async fn rest(&mut self, rest: Duration) {
        let until = Instant::now() + rest;
        loop {
            tokio::select! {
                () = self.released.cancelled() => return,
                () = self.hurry.cancelled() => return,
                () = time::sleep_until(until) => return,
                Some(_) = self.queue.recv() => {}
            }
        }
    }

    /// Warns of a reason once; a child that ends in the same way again and again is no news each time.
    fn announce(&self, phase: &Phase, rest: Duration, told: &mut Option<String>) {
        let reason = phase.fault().unwrap_or_default();
        if told.as_ref() == Some(&reason) {
            tracing::debug!(server = %self.id, %reason, restart_in = ?rest, "stdio server down again");
        } else {
            tracing::warn!(server = %self.id, %reason, restart_in = ?rest, "stdio server down");
            *told = Some(reason);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Also when the task is aborted: nobody may wait for an answer that cannot come.
        self.mux.fail_all();
        self.phase.send_replace(Phase::Gone);
    }
}

impl Phase {
    /// Why there is no connection, for the operator.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Phase::Down(reason) => Some(reason.to_string()),
            Phase::CannotStart(error) => Some(CannotStart::to_string(error)),
            Phase::Starting | Phase::Up(_) | Phase::Gone => None,
        }
    }
}
