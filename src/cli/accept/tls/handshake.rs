use super::{
    super::{Limits, socket::Socket},
    HTTP2, Tls,
};
use crate::metrics::{Count, Metrics};
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What is told to a client that speaks HTTP without TLS, in the only words it understands.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\
                       content-length: 50\r\n\r\nThis port speaks TLS: write https:// in the URL.\r\n";

/// The most that is heard of a client after that: closing at once would make the system discard what it has not read yet.
const MAX_HEARD: u64 = 64 << 10;

/// Shakes hands with a client, within the time that it has for its first request head. `None` if no request will come;
/// why is counted and logged.
pub(in super::super) async fn shake(
    tls: &Tls,
    socket: Socket,
    peer: SocketAddr,
    (limits, metrics): (Limits, &Metrics),
    begun: Instant,
) -> Option<(TlsStream<Socket>, bool)> {
    match timeout_at(begun + limits.head, accept(tls, socket)).await {
        Ok(Ok(Some(stream))) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
            Some((stream, is_http2))
        }
        // A probe that only looks whether somebody listens has done nothing wrong.
        Ok(Ok(None)) => None,
        Ok(Err(error)) => {
            metrics.count(Count::Tls);
            tracing::debug!(%peer, %error, "no TLS connection");
            None
        }
        Err(_) => {
            metrics.count(Count::SlowClient);
            tracing::debug!(%peer, "the TLS handshake took too long");
            None
        }
    }
}

async fn accept(tls: &Tls, mut stream: Socket) -> io::Result<Option<TlsStream<Socket>>> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Ok(None),
        // No record of TLS begins with a letter, and every request of HTTP does.
        Ok(_) if first[0].is_ascii_uppercase() => {
            stream.write_all(PLAIN).await?;
            stream.shutdown().await?;
            tokio::io::copy(&mut stream.take(MAX_HEARD), &mut tokio::io::sink()).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks HTTP without TLS"));
        }
        _ => {}
    }
    TlsAcceptor::from(tls.config()).accept(stream).await.map(Some)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_length_of_what_is_told_is_the_one_it_names() {
        let text = std::str::from_utf8(super::PLAIN).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
