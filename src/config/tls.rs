use super::reader::{Field, Reader};
use std::path::PathBuf;

const FIELDS: &[&str] = &["cert", "key", "clientCa"];

/// The PEM files with which the program serves its clients over TLS.
///
/// They are named here and read by the program, at its start and whenever they change. Paths of a configuration file are
/// relative to its folder:
///
/// ```
/// use tower_mcp_gateway::config::Config;
///
/// let config = Config::parse(r#"{ "tls": { "cert": "server.pem", "key": "server.key" } }"#, |_| None)?;
/// assert_eq!(config.tls.unwrap().key.to_str(), Some("server.key"));
/// # Ok::<(), tower_mcp_gateway::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and after it those between it and its root.
    pub cert: PathBuf,
    /// The certificate's private key, without a passphrase.
    pub key: PathBuf,
    /// Authorities of which every client must show a certificate; without them no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

#[cfg(feature = "cli")]
impl TlsFiles {
    /// All that are named.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.cert, &self.key].into_iter().chain(&self.client_ca)
    }
}

/// Reads `tls`.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<TlsFiles> {
    let object = reader.object(field, FIELDS, |_| None)?;
    let mut file = |key: &str, needed: Option<&str>| match (object.get(key), needed) {
        (Some(field), _) => reader.text(field).map(|text| reader.path(&text)),
        (None, Some(remedy)) => {
            reader.missing(&object, key, remedy);
            None
        }
        (None, None) => None,
    };
    let cert = file("cert", Some("the PEM file of the certificate that clients are shown"));
    let key = file("key", Some("the PEM file of the certificate's private key"));
    let client_ca = file("clientCa", None);
    Some(TlsFiles { cert: cert?, key: key?, client_ca })
}
