use arc_swap::ArcSwapOption;
use std::{error::Error, io, sync::Arc};

/// Why the latest request met no answer.
#[derive(Debug, Default)]
pub(super) struct Fault(ArcSwapOption<String>);

impl Fault {
    pub(super) fn set(&self, why: impl Into<String>) {
        self.0.store(Some(Arc::new(why.into())));
    }

    pub(super) fn clear(&self) {
        // Nearly always empty already, and a read does not contend.
        if self.0.load().is_some() {
            self.0.store(None);
        }
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.load().as_deref().cloned()
    }
}

/// The failure in words of our own: an error's text may hold addresses, and a certificate's names.
pub(super) fn describe(error: &(dyn Error + 'static)) -> &'static str {
    #[cfg(feature = "tls")]
    if crate::error::find::<rustls::Error>(error).is_some() || is_tls(error) {
        return "the TLS handshake failed";
    }
    if let Some(kind) = io_kind(error) {
        return kind;
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().starts_with("dns error") {
            return "the host name was not found";
        }
        cause = error.source();
    }
    "the connection was closed"
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(match crate::error::find::<io::Error>(error)?.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::ConnectionReset => "the connection was reset",
        io::ErrorKind::TimedOut => "no connection was made in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the host is unreachable",
        _ => return None,
    })
}

/// rustls' errors travel inside an [`io::Error`], whose source is not the error itself but that error's source.
#[cfg(feature = "tls")]
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = crate::error::find::<io::Error>(error).and_then(io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<rustls::Error>())
}
