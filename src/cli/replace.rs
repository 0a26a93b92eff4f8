//! Files of a person's own, replaced whole or not at all.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Where a file really is, whether or not it exists: at the end of its links, so that a link to a folder of dotfiles stays
/// one, also before the program it belongs to is first used.
pub(super) fn target(named: &Path) -> PathBuf {
    let mut real = named.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = fs::read_link(&real) else { break };
        real = real.parent().map(|folder| folder.join(&next)).unwrap_or(next);
    }
    real
}

/// Puts a file in the place of another at once, so that nobody ever reads half of it and a full disk costs nothing.
pub(super) fn replace(file: &Path, text: &[u8], mode: Permissions) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.draft", std::process::id()));
    let draft = file.with_file_name(name);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut written| {
        written.write_all(text)?;
        written.set_permissions(mode)?;
        written.sync_all()
    });
    written.and_then(|()| fs::rename(&draft, file)).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}
