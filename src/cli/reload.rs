use super::{accept::tls::Tls, console::Console};
use crate::{EndpointId, Gateway, Reloaded, config::Config, metrics::Count, registry::Changes};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

/// How often the files are looked at. Polled, because editors replace files and mounts of containers swap folders, which
/// notifications of the system tell in a different way each.
const LOOK: Duration = Duration::from_millis(500);

/// Where the configuration and the certificate come from, and how they are read again.
pub(super) struct Source {
    file: Look,
    read: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    tls: Option<(Look, Tls)>,
    hangup: Signal,
}

/// Files that are looked at from time to time.
struct Look {
    files: Vec<PathBuf>,
    /// As they were when they were last read.
    applied: Vec<Option<Stamp>>,
    /// As they were at the last look.
    seen: Vec<Option<Stamp>>,
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
        tls: Option<&Tls>,
    ) -> io::Result<Self> {
        let tls = tls.map(|tls| (Look::new(tls.files().all().cloned().collect()), tls.clone()));
        Ok(Self { file: Look::new(vec![file]), read: Box::new(read), tls, hangup: signal(SignalKind::hangup())? })
    }

    /// Reloads `gateway` and the certificate at each SIGHUP and whenever a file of theirs has changed, and says what that
    /// did.
    pub(super) async fn follow(mut self, gateway: &Gateway, console: &Console) -> Infallible {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                _ = self.hangup.recv() => true,
                _ = looks.tick() => false,
            };
            if self.file.has_changed() || told {
                self.file.apply();
                let (line, fields) = self.reload(gateway);
                console.say("reload", line, fields);
            }
            if let Some((files, tls)) = &mut self.tls
                && (files.has_changed() || told)
            {
                files.apply();
                let (line, is_read) = certificate(tls, gateway);
                let fields = json!({ "message": line, "ok": is_read });
                console.say("reload", line, fields);
            }
        }
    }

    /// What came of it, for people and for programs.
    fn reload(&self, gateway: &Gateway) -> (String, Value) {
        let reloaded = (self.read)().and_then(|config| {
            let notes: String = config.notes.iter().map(|note| format!("; note: {note}")).collect();
            let reloaded = gateway.reload(config).map_err(|error| error.to_string())?;
            Ok((format!("reloaded: {reloaded}{notes}"), reloaded))
        });
        gateway.metrics().count(if reloaded.is_ok() { Count::Reloaded } else { Count::NotReloaded });
        match reloaded {
            Ok((line, reloaded)) => {
                let fields = told(&line, &reloaded);
                (line, fields)
            }
            Err(reason) => {
                // One line, however many mistakes there are.
                let reason = reason.trim_end().replace('\n', "; ");
                let line = format!("not reloaded, everything stays as it was: {reason}");
                let fields = json!({ "message": line, "ok": false });
                (line, fields)
            }
        }
    }
}

fn told(line: &str, reloaded: &Reloaded) -> Value {
    let Changes { added, changed, adjusted, removed, unchanged, .. } = &reloaded.servers;
    let ids = |ids: &[EndpointId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "message": line, "ok": true, "added": ids(added), "changed": ids(changed), "adjusted": ids(adjusted),
        "removed": ids(removed), "unchanged": unchanged, "restart": reloaded.restart,
    })
}

/// Reads the certificate again, and says what came of it and whether it was taken.
fn certificate(tls: &Tls, gateway: &Gateway) -> (String, bool) {
    let reloaded = tls.reload();
    gateway.metrics().count(if reloaded.is_ok() { Count::Reloaded } else { Count::NotReloaded });
    match reloaded {
        Ok(()) => ("the certificate was reloaded: new connections get it".into(), true),
        Err(reason) => (format!("the certificate was not reloaded, the old one stays: {reason}"), false),
    }
}

impl Look {
    fn new(files: Vec<PathBuf>) -> Self {
        let applied: Vec<_> = files.iter().map(|file| Stamp::of(file)).collect();
        Self { files, seen: applied.clone(), applied }
    }

    /// Whether they are others than those that were read last.
    ///
    /// Seen twice alike, so that one that is still being written is not read, and one that is about to be put back after a
    /// rename is not missed.
    fn has_changed(&mut self) -> bool {
        let now: Vec<_> = self.files.iter().map(|file| Stamp::of(file)).collect();
        let before = std::mem::replace(&mut self.seen, now);
        self.seen != self.applied && self.seen == before && self.seen.iter().all(Option::is_some)
    }

    /// They are about to be read.
    fn apply(&mut self) {
        self.applied = self.files.iter().map(|file| Stamp::of(file)).collect();
    }
}

impl Stamp {
    /// `None` while there is no such file.
    fn of(file: &Path) -> Option<Self> {
        let file = std::fs::metadata(file).ok()?;
        let modified = (file.mtime(), file.mtime_nsec());
        Some(Self { device: file.dev(), inode: file.ino(), len: file.len(), modified })
    }
}
