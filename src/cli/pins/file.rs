use crate::{
    cli::{find, keys},
    pin::Pins,
};
use nix::fcntl::{Flock, FlockArg};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File as Handle, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The largest file that is read or written: the tools of several hundred servers.
const MAX_BYTES: u64 = 64 << 20;

/// The file of what one configuration's servers were when they were first seen.
///
/// One for each configuration, because equal names in two of them are two servers. All gateways of a configuration share it,
/// those included that clients launch.
#[derive(Clone, Debug)]
pub(in crate::cli) struct File(PathBuf);

/// What tells one state of the file from another without reading it.
pub(super) type Stamp = Option<(u64, u64, i64, i64)>;

impl File {
    /// That of the configuration in `config`, by the user's environment; `None` without a folder for it.
    pub(super) fn of(config: &Path, env: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        Some(Self(keys::folder(env)?.join("pins").join(format!("{}.json", find::name_of(config)))))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What is kept; nothing if there is no file.
    pub(super) fn load(&self) -> io::Result<Pins> {
        match self.read()? {
            Some(text) => Pins::from_json(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error)),
            None => Ok(Pins::default()),
        }
    }

    /// Brings `pins` and the file together, in both directions.
    pub(super) fn sync(&self, pins: &Pins) -> io::Result<()> {
        let _lock = self.lock()?;
        let kept = self.read()?;
        if let Some(text) = &kept {
            pins.take_over(text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
        let text = pins.to_json();
        // Who pins nothing leaves no file.
        let known = kept.unwrap_or_else(|| Pins::default().to_json());
        if known == text { Ok(()) } else { self.write(&text) }
    }

    /// Lets `change` work on what is kept, and keeps what comes of it.
    pub(super) fn update<T>(&self, change: impl FnOnce(&Pins) -> T) -> io::Result<T> {
        let _lock = self.lock()?;
        let pins = self.load()?;
        let done = change(&pins);
        self.write(&pins.to_json())?;
        Ok(done)
    }

    pub(super) fn stamp(&self) -> Stamp {
        let file = fs::metadata(&self.0).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    }

    fn folder(&self) -> io::Result<&Path> {
        self.0.parent().ok_or_else(|| ErrorKind::InvalidInput.into())
    }

    /// Makes the folder, and holds it against other gateways that read and write at once.
    fn lock(&self) -> io::Result<Flock<Handle>> {
        let folder = self.folder()?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Flock::lock(Handle::open(folder)?, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
    }

    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let known = match fs::metadata(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            known => known?,
        };
        if !known.is_file() || known.len() > MAX_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, "no file of pins: it is too large, or no file at all"));
        }
        // Whoever writes it says which tools are trusted.
        if known.mode() & 0o022 != 0 {
            let reason = "other users may write it: `chmod 600` it if they have not, else delete it";
            return Err(io::Error::new(ErrorKind::PermissionDenied, reason));
        }
        let mut text = Vec::new();
        Handle::open(&self.0)?.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok(Some(text))
    }

    /// Written elsewhere and moved into its place, so that nobody ever reads half of it.
    fn write(&self, text: &[u8]) -> io::Result<()> {
        if text.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "more tools than are kept"));
        }
        // Only one writes at a time, and a draft that was left behind is of nobody.
        let draft = self.0.with_extension("draft");
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let written = file.write_all(text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &self.0));
        written.inspect_err(|_| drop(fs::remove_file(&draft)))
    }
}
