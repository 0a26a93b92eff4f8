use crate::rare::Rare;
use std::{error::Error, io, sync::Arc};

/// Why the latest request met no answer.
#[derive(Debug, Default)]
pub(super) struct Fault(Rare<String>);

impl Fault {
    pub(super) fn set(&self, why: impl Into<String>) {
        self.0.set(Arc::new(why.into()));
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn get(&self) -> Option<String> {
        self.0.get().as_deref().cloned()
    }
}

/// The failure in words of our own: an error's text may hold addresses, and a certificate's names.
pub(super) fn describe(error: &(dyn Error + 'static)) -> &'static str {
    #[cfg(feature = "tls")]
    match tls(error) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            return "the TLS handshake failed: its certificate is not accepted";
        }
        Some(rustls::Error::InvalidMessage(_)) => return "the TLS handshake failed: what answers there speaks no TLS",
        Some(_) => return "the TLS handshake failed",
        None => {}
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

/// rustls' errors travel inside an [`io::Error`], or that inside another one, whose source is not the error itself but that
/// error's source.
#[cfg(feature = "tls")]
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inside = |error: &'a io::Error| error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    let mut next = crate::error::find::<io::Error>(error).and_then(inside);
    while let Some(inner) = next {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        next = inner.downcast_ref::<io::Error>().and_then(inside);
    }
    crate::error::find(error)
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;
    use rustls::{CertificateError, InvalidMessage};

    #[test]
    fn what_failed_of_a_handshake_is_found_however_deep_it_lies() {
        let wrapped = |error: rustls::Error| io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error));
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(describe(&wrapped(unknown)).ends_with("its certificate is not accepted"));
        let plain = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert!(describe(&wrapped(plain)).ends_with("speaks no TLS"));
        assert_eq!(describe(&rustls::Error::DecryptError), "the TLS handshake failed");
        assert_eq!(describe(&io::Error::other("closed")), "the connection was closed");
    }
}
