use crate::cli::{
    apps::{Document, Unusable},
    replace::{replace, target},
};
use jsonc_parser::cst::CstInputValue;
use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What the file of before is called.
const ENDING: &str = ".before-tower-mcp-gateway";

/// A client's file and what it held when it was read.
pub(super) struct Kept {
    /// As it is named; it may be a link.
    named: PathBuf,
    /// Where it really is: a link to a folder of dotfiles stays one.
    real: PathBuf,
    /// `None` if there is no such file.
    text: Option<String>,
}

/// What has become of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Written { backup: Option<PathBuf> },
    Removed,
}

impl Kept {
    pub(super) fn read(named: &Path) -> Result<Self, String> {
        let explain = |error: io::Error| format!("{}: {error}", named.display());
        let text = match fs::read_to_string(named) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(explain(error)),
        };
        let real = target(named);
        Ok(Self { named: named.to_owned(), real, text })
    }

    pub(super) fn document(&self) -> Result<Document, String> {
        self.parse(self.text.as_deref().unwrap_or_default())
    }

    fn parse(&self, text: &str) -> Result<Document, String> {
        Document::parse(text).map_err(|unusable| self.refuse(&unusable))
    }

    fn refuse(&self, unusable: &Unusable) -> String {
        format!("{} is left as it is: {unusable}", self.named.display())
    }

    fn explain(&self, error: &io::Error) -> String {
        format!("{} is left as it is: {error}", self.named.display())
    }

    fn backup(&self) -> PathBuf {
        let mut name = self.real.file_name().unwrap_or_default().to_owned();
        name.push(ENDING);
        self.real.with_file_name(name)
    }

    /// What `text` becomes with the entry in it.
    fn with(&self, text: &str, key: &str, name: &str, entry: CstInputValue) -> Result<String, String> {
        let document = self.parse(text)?;
        document.set(key, name, entry).map_err(|unusable| self.refuse(&unusable))?;
        Ok(document.text())
    }

    /// Writes the entry, and what was there before beside it.
    pub(super) fn connect(&self, key: &str, name: &str, entry: CstInputValue) -> Result<Changed, String> {
        let before = self.text.as_deref().unwrap_or_default();
        let there = self.document()?.get(key, name);
        if there.as_ref().is_some_and(|there| crate::cli::apps::same(there, &entry)) {
            return Ok(Changed::Nothing);
        }
        let after = self.with(before, key, name, entry)?;
        let backup = self.backup();
        // The state of before an earlier entry is the one to go back to.
        let keep = self.text.is_some() && !(there.is_some() && backup.exists());
        if keep {
            replace(&backup, before.as_bytes(), self.mode()).map_err(|error| self.explain(&error))?;
        }
        if let Some(folder) = self.real.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| self.explain(&error))?;
        }
        replace(&self.real, after.as_bytes(), self.mode()).map_err(|error| self.explain(&error))?;
        Ok(Changed::Written { backup: keep.then_some(backup) })
    }

    /// Takes the entry out: the file of before comes back if nothing else was changed since, and is forgotten either way.
    pub(super) fn disconnect(&self, key: &str, name: &str) -> Result<Changed, String> {
        let Some(now) = &self.text else { return Ok(Changed::Nothing) };
        let document = self.parse(now)?;
        let Some(entry) = document.get(key, name) else { return Ok(Changed::Nothing) };
        let before = match fs::read_to_string(self.backup()) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(self.explain(&error)),
        };
        let untouched = |before: &str| {
            let had = Document::parse(before).is_ok_and(|document| document.get(key, name).is_some());
            !had && self.with(before, key, name, entry.clone()).as_ref() == Ok(now)
        };
        let done = match &before {
            Some(before) if untouched(before) => self.write(before),
            None if untouched("") => fs::remove_file(&self.real).map(|()| Changed::Removed),
            _ => {
                document.remove(key, name);
                self.write(&document.text())
            }
        };
        let done = done.map_err(|error| self.explain(&error))?;
        if before.is_some() {
            fs::remove_file(self.backup()).map_err(|error| self.explain(&error))?;
        }
        Ok(done)
    }

    fn write(&self, text: &str) -> io::Result<Changed> {
        replace(&self.real, text.as_bytes(), self.mode())?;
        Ok(Changed::Written { backup: None })
    }

    /// Who may read the file; it often holds keys, so a new one is its owner's alone.
    fn mode(&self) -> Permissions {
        let there = fs::metadata(&self.real).map(|file| file.permissions());
        there.unwrap_or_else(|_| Permissions::from_mode(0o600))
    }
}
