use super::console::Console;
use crate::{Gateway, config::Config, metrics::Count};
use std::{convert::Infallible, io, os::unix::fs::MetadataExt, path::PathBuf, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

/// How often the file is looked at. Polled, because editors replace files and mounts of containers swap folders, which
/// notifications of the system tell in a different way each.
const LOOK: Duration = Duration::from_millis(500);

/// Where the configuration comes from, and how it is read again.
pub(super) struct Source {
    file: PathBuf,
    read: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    hangup: Signal,
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Source {
    /// Listens to SIGHUP from here on. `read` reads `file` and adds what the command line says.
    pub(super) fn new(
        file: PathBuf,
        read: impl Fn() -> Result<Config, String> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(Self { file, read: Box::new(read), hangup: signal(SignalKind::hangup())? })
    }

    /// Reloads `gateway` at each SIGHUP and whenever the file has changed, and says what that did.
    pub(super) async fn follow(mut self, gateway: &Gateway, console: &Console) -> Infallible {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut applied = self.stamp();
        let mut seen = applied;
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {}
                _ = looks.tick() => {
                    let before = std::mem::replace(&mut seen, self.stamp());
                    // Seen twice alike, so that one that is still being written is not read, and one that is about to
                    // be put back after a rename is not missed.
                    if seen == applied || seen != before || seen.is_none() {
                        continue;
                    }
                }
            }
            applied = self.stamp();
            console.note("reload", self.reload(gateway));
        }
    }

    fn reload(&self, gateway: &Gateway) -> String {
        let reloaded = (self.read)().and_then(|config| {
            let notes: String = config.notes.iter().map(|note| format!("; note: {note}")).collect();
            let reloaded = gateway.reload(config).map_err(|error| error.to_string())?;
            Ok(format!("reloaded: {reloaded}{notes}"))
        });
        gateway.metrics().count(if reloaded.is_ok() { Count::Reloaded } else { Count::NotReloaded });
        // One line, however many mistakes there are.
        let refused = |reason: String| {
            format!("not reloaded, everything stays as it was: {}", reason.trim_end().replace('\n', "; "))
        };
        reloaded.unwrap_or_else(refused)
    }

    /// `None` while there is no such file.
    fn stamp(&self) -> Option<Stamp> {
        let file = std::fs::metadata(&self.file).ok()?;
        let modified = (file.mtime(), file.mtime_nsec());
        Some(Stamp { device: file.dev(), inode: file.ino(), len: file.len(), modified })
    }
}
