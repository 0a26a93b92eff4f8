use super::error::InvalidTls;
use crate::config::TlsFiles;
use rustls::{
    Error, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{fs::File, io::Read, path::Path, sync::Arc};

/// The most that is read of a file: a system's whole set of authorities, and not a file that was mistaken for one.
const MAX_BYTES: u64 = 4 << 20;

/// Of the protocols that client and server know, the first here is spoken.
const PROTOCOLS: [&[u8]; 2] = [super::HTTP2, b"http/1.1"];

type Named<'a> = (&'static str, &'a Path);

/// What `files` come to.
pub(super) fn load(files: &TlsFiles) -> Result<ServerConfig, InvalidTls> {
    let (cert, key) = (("tls.cert", files.cert.as_path()), ("tls.key", files.key.as_path()));
    let chain = certificates(cert)?;
    let secret = PrivateKeyDer::from_pem_slice(&content(key)?).map_err(|error| InvalidTls::new(key, no_key(&error)))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| InvalidTls::new(cert, error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => builder.with_client_cert_verifier(verifier(("tls.clientCa", file), provider)?),
    };
    let mut made = builder.with_single_cert(chain, secret).map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            let reason = format!("is the key of another certificate than the first one in {}", files.cert.display());
            InvalidTls::new(key, reason)
        }
        Error::InvalidCertificate(_) => InvalidTls::new(cert, format!("its first certificate cannot be used: {error}")),
        error => InvalidTls::new(key, format!("cannot be used with the certificate: {error}")),
    })?;
    made.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(made)
}

/// The certificates in a PEM file, of which there is one at least.
pub(super) fn certificates(file: Named<'_>) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let content = content(file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(InvalidTls::new(file, "holds no certificate: it must be PEM, with `-----BEGIN CERTIFICATE-----`")),
        Err(error) => Err(InvalidTls::new(file, format!("is no PEM that can be read: {error}"))),
    }
}

fn no_key(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "holds no private key: it must be PEM, with `-----BEGIN PRIVATE KEY-----` and \
                                     without a passphrase (`openssl pkey -in this -out that` takes one off)"
            .into(),
        // The text of some of them repeats a line of the file.
        _ => "is no PEM that can be read: is it complete, and is it text?".into(),
    }
}

fn verifier(file: Named<'_>, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, InvalidTls> {
    let mut roots = RootCertStore::empty();
    for (n, certificate) in certificates(file)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            InvalidTls::new(file, format!("certificate {} in it is none of an authority: {error}", n + 1))
        })?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
    built.map_err(|error| InvalidTls::new(file, error.to_string()))
}

fn content(file: Named<'_>) -> Result<Vec<u8>, InvalidTls> {
    let mut content = Vec::new();
    let read = File::open(file.1).and_then(|opened| opened.take(MAX_BYTES).read_to_end(&mut content));
    let remedy = "correct the path, which is relative to the folder of the configuration, or the file's permissions";
    read.map_err(|error| InvalidTls::new(file, format!("cannot be read: {error}: {remedy}")))?;
    Ok(content)
}
