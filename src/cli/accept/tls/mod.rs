//! TLS in front of HTTP, with a certificate that can be replaced while connections go on.

pub mod error;
mod files;
mod handshake;

pub(super) use self::handshake::shake;

use self::error::InvalidTls;
use crate::config::TlsFiles;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::{fmt, sync::Arc};

/// HTTP/2, as clients and servers name it to each other in the handshake.
pub(super) const HTTP2: &[u8] = b"h2";

/// A certificate with its key, and which certificates of clients are taken; clones are the same.
///
/// Give it to [`Accept::tls`](super::Accept::tls), keep a clone, and [`reload`](Tls::reload) that when the files have
/// changed: certificates live for weeks, gateways for months.
///
/// ```no_run
/// use tower_mcp_gateway::{cli::accept::{Accept, tls::Tls}, config::TlsFiles};
///
/// # async fn serve(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::load(TlsFiles { cert: "server.pem".into(), key: "server.key".into(), client_ca: None })?;
/// let accept = Accept::new(listener).tls(tls.clone());
/// tls.reload()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, holds no PEM of what it should hold, or the key belongs to another certificate.
    pub fn load(files: TlsFiles) -> Result<Self, InvalidTls> {
        let config = ArcSwap::from_pointee(files::load(&files)?);
        Ok(Self(Arc::new(Inner { files, config })))
    }

    /// Reads the files again, for connections that are accepted from now on. Those that are open go on as they are.
    ///
    /// # Errors
    ///
    /// As [`load`](Tls::load); then everything stays as it was.
    pub fn reload(&self) -> Result<(), InvalidTls> {
        self.0.config.store(Arc::new(files::load(&self.0.files)?));
        Ok(())
    }

    /// The files it was read from.
    pub fn files(&self) -> &TlsFiles {
        &self.0.files
    }

    fn config(&self) -> Arc<ServerConfig> {
        self.0.config.load_full()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.0.files).finish_non_exhaustive()
    }
}

/// The certificate in `files` that a client is shown.
pub(in crate::cli) fn shown(files: &TlsFiles) -> Result<Vec<u8>, InvalidTls> {
    let chain = files::certificates(("tls.cert", &files.cert))?;
    Ok(chain.into_iter().next().map(|leaf| leaf.to_vec()).unwrap_or_default())
}
