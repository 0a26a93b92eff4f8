//! Errors of [`Era`](super::Era).

use crate::BoxError;
use std::{error::Error, fmt, sync::Arc};

/// The handshake failed, so the call was never sent. Its source says why; all calls that waited share it.
#[derive(Clone, Debug)]
pub struct HandshakeFailed(Arc<dyn Error + Send + Sync>);

impl HandshakeFailed {
    pub(super) fn new(error: BoxError) -> Self {
        Self(error.into())
    }

    /// The whole story in one line, for the operator.
    pub(super) fn describe(&self) -> String {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let more = error.to_string();
            // Many errors repeat their source.
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for HandshakeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handshake with the server failed")
    }
}

impl Error for HandshakeFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
