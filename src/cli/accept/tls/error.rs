//! Why TLS cannot be served.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A file that TLS cannot be served with.
///
/// Its text names the field of the configuration, the file, what is wrong and what to do, and holds nothing of the file's
/// content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTls {
    field: &'static str,
    file: PathBuf,
    reason: String,
}

impl InvalidTls {
    pub(super) fn new((field, file): (&'static str, &Path), reason: impl Into<String>) -> Self {
        Self { field, file: file.into(), reason: reason.into() }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl fmt::Display for InvalidTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}: {}", self.field, self.file.display(), self.reason)
    }
}

impl std::error::Error for InvalidTls {}
