use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A connection as bytes, encrypted or not. One that is not is read and written without a layer between.
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Encrypted(Box<hyper_util::rt::TokioIo<Https>>),
}

/// What the connector opens.
#[cfg(feature = "tls")]
pub(crate) type Https = hyper_rustls::MaybeHttpsStream<hyper_util::rt::TokioIo<TcpStream>>;

#[cfg(feature = "tls")]
impl From<Https> for Stream {
    fn from(stream: Https) -> Self {
        match stream {
            Https::Http(tcp) => Self::Plain(tcp.into_inner()),
            encrypted => Self::Encrypted(Box::new(hyper_util::rt::TokioIo::new(encrypted))),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl From<hyper_util::rt::TokioIo<TcpStream>> for Stream {
    fn from(tcp: hyper_util::rt::TokioIo<TcpStream>) -> Self {
        Self::Plain(tcp.into_inner())
    }
}

/// Does the same with a stream of either kind.
macro_rules! each {
    ($self:expr, $stream:ident => $some:expr) => {
        match $self.get_mut() {
            Stream::Plain($stream) => $some,
            #[cfg(feature = "tls")]
            Stream::Encrypted($stream) => $some,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Stream::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
