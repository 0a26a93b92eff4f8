use super::{ramp::Ramp, stream::Stream};
use crate::BoxError;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

#[cfg(feature = "tls")]
type Scheme = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Scheme = HttpConnector;

/// How long a connection is silent before the peer's kernel is asked for a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Opens connections, name look-up and TLS handshake included, within one deadline: a peer that accepts and then says
/// nothing does not hold a call for longer than one that does not accept. After a failure the first second is slow, see
/// [`Ramp`].
#[derive(Clone)]
pub(crate) struct Connector {
    scheme: Scheme,
    timeout: Duration,
    ramp: Arc<Ramp>,
}

impl Connector {
    /// A connector for the scheme of `url`, which with `pinned` takes that certificate and no other.
    ///
    /// # Errors
    ///
    /// Why `https` cannot be spoken.
    pub(crate) fn new(url: &Uri, timeout: Duration, pinned: Option<&Arc<[u8]>>) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // A peer that vanished without a word is noticed within a minute, also under a stream that is silent for hours.
        tcp.set_keepalive(Some(KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(KEEP_ALIVE / 3));
        tcp.set_keepalive_retries(Some(3));
        let scheme = scheme(tcp, url.scheme() == Some(&http::uri::Scheme::HTTPS), pinned)?;
        Ok(Self { scheme, timeout, ramp: Arc::default() })
    }
}

#[cfg(feature = "tls")]
fn scheme(mut tcp: HttpConnector, https: bool, pinned: Option<&Arc<[u8]>>) -> Result<Scheme, String> {
    use super::pinned::Pinned;
    use hyper_rustls::HttpsConnectorBuilder;

    tcp.enforce_http(false);
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let config = || {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider.clone()));
        config.with_safe_default_protocol_versions().map_err(|_| "TLS is not available".to_owned())
    };
    let schemes = if let Some(certificate) = pinned {
        let verifier = Pinned::new(certificate.clone(), provider.signature_verification_algorithms);
        let config = config()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        builder.with_tls_config(config.with_no_client_auth()).https_only()
    } else if https {
        let rooted = builder.with_provider_and_native_roots(provider);
        rooted.map_err(|_| "no certificates of the system could be read".to_owned())?.https_only()
    } else {
        // Reading the system's certificates takes time and may fail, and plain HTTP needs none.
        let config = config()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        builder.with_tls_config(config).https_or_http()
    };
    Ok(schemes.enable_http1().wrap_connector(tcp))
}

#[cfg(not(feature = "tls"))]
fn scheme(tcp: HttpConnector, https: bool, _: Option<&Arc<[u8]>>) -> Result<Scheme, String> {
    if https { Err("https needs the feature `tls`".to_owned()) } else { Ok(tcp) }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::<Uri>::poll_ready(&mut self.scheme, cx).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (connecting, timeout, ramp) = (self.scheme.call(url), self.timeout, self.ramp.clone());
        Box::pin(async move {
            // Not a part of the time to connect: nobody has been asked yet.
            ramp.admit().await;
            let connected = within(timeout, connecting).await;
            if connected.is_ok() {
                ramp.connected()
            } else {
                ramp.failed()
            }
            connected.map(Stream::from)
        })
    }
}

async fn within<T, E: Into<BoxError>>(
    timeout: Duration,
    connecting: impl Future<Output = Result<T, E>>,
) -> Result<T, BoxError> {
    match tokio::time::timeout(timeout, connecting).await {
        Ok(connected) => connected.map_err(Into::into),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
