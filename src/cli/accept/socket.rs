use std::{
    io::{self, IoSlice},
    mem, net,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// A stream that can go from one runtime to another, as long as nothing is read or written meanwhile.
pub(super) trait Moves {
    /// Unknown to the runtime from here on, and good for nothing before it arrives elsewhere.
    fn leave(&mut self) -> io::Result<()>;

    /// Known to the runtime that this is called in.
    fn arrive(&mut self) -> io::Result<()>;
}

/// A connection of TCP, known to the reactor of one thread or on its way to another.
#[derive(Debug)]
pub(super) enum Socket {
    Here(TcpStream),
    OnItsWay(net::TcpStream),
    Lost,
}

impl Socket {
    /// What has arrived, without taking it.
    pub(super) async fn peek(&self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Here(stream) => stream.peek(room).await,
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn here(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        match self.get_mut() {
            Self::Here(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Moves for Socket {
    fn leave(&mut self) -> io::Result<()> {
        if let Self::Here(stream) = mem::replace(self, Self::Lost) {
            *self = Self::OnItsWay(stream.into_std()?);
        }
        Ok(())
    }

    fn arrive(&mut self) -> io::Result<()> {
        if let Self::OnItsWay(stream) = mem::replace(self, Self::Lost) {
            *self = Self::Here(TcpStream::from_std(stream)?);
        }
        Ok(())
    }
}

impl Moves for TlsStream<Socket> {
    fn leave(&mut self) -> io::Result<()> {
        self.get_mut().0.leave()
    }

    fn arrive(&mut self) -> io::Result<()> {
        self.get_mut().0.arrive()
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_read(cx, room)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.here()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(cx)
    }
}
