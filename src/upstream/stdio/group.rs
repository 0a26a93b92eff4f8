use super::watchdog::Watchdog;
use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::time::Duration;
use tokio::{process::Child, time};
use tokio_util::sync::CancellationToken;

/// How often the group is looked at once its leader is gone: nobody tells when a grandchild leaves.
const LOOK: Duration = Duration::from_millis(20);
/// How long a killed leader may take to be reaped; only one stuck in the kernel takes longer.
pub(super) const REAP: Duration = Duration::from_secs(1);

/// How long a group may take after SIGTERM when no time is left: enough to flush a file.
const HURRIED: Duration = Duration::from_millis(400);

/// The process group a child leads: the child and whatever it started.
///
/// Dropped before it was stopped, as when the runtime ends first, it is killed.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    stopped: bool,
    watchdog: Option<Watchdog>,
}

impl Group {
    /// The group of a child that was started as the leader of one, told to `watchdog`; `None` if the child is reaped
    /// already.
    pub(super) fn of(child: &Child, watchdog: Option<&Watchdog>) -> Option<Self> {
        let id = Pid::from_raw(i32::try_from(child.id()?).ok().filter(|id| *id > 1)?);
        watchdog.inspect(|watchdog| watchdog.watch(id));
        Some(Self { id, stopped: false, watchdog: watchdog.cloned() })
    }

    /// Stops a child whose stdin is closed: waits for it and its children to leave, then SIGTERM, then SIGKILL.
    ///
    /// From the moment of `hurry` on it is not waited for beyond [`HURRIED`].
    pub(super) async fn stop(
        mut self,
        child: &mut Child,
        (stop_grace, kill_grace): (Duration, Duration),
        hurry: &CancellationToken,
    ) {
        let asked = hurry.run_until_cancelled(self.leaves(child, stop_grace)).await;
        if asked != Some(true) {
            self.signal(Signal::SIGTERM);
            let hurried = async {
                hurry.cancelled().await;
                time::sleep(HURRIED).await;
            };
            let told = tokio::select! {
                left = self.leaves(child, kill_grace) => left,
                () = hurried => false,
            };
            if !told {
                self.kill();
                let _ = time::timeout(REAP, child.wait()).await;
            }
        }
        self.stopped = true;
    }

    /// Kills what is left of the group of a child that exited by itself.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.stopped = true;
    }

    async fn leaves(&self, child: &mut Child, grace: Duration) -> bool {
        let gone = async {
            // An error means there is no such child any more.
            let _ = child.wait().await;
            while !self.is_empty() {
                time::sleep(LOOK).await;
            }
        };
        time::timeout(grace, gone).await.is_ok()
    }

    fn is_empty(&self) -> bool {
        killpg(self.id, None) == Err(Errno::ESRCH)
    }

    fn signal(&self, signal: Signal) {
        match killpg(self.id, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::warn!(group = self.id.as_raw(), %signal, %error, "cannot signal a process group"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.stopped {
            self.signal(Signal::SIGKILL);
        }
        self.watchdog.take().inspect(|watchdog| watchdog.forget(self.id));
    }
}
