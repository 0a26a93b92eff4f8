use bytes::{Buf, BufMut};
use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncWrite;

/// A piece of a body below this many bytes is copied behind what is to be written before it: a second piece costs more to
/// write than these cost to copy.
const JOINED: usize = 8 << 10;
/// So many bytes to be written are enough; the body is not asked for more before they are gone.
const FULL: usize = 32 << 10;
/// What a head and a small answer take together, in bytes.
const ROOM: usize = 704;

/// What is to be written: heads and small pieces together, then at most one piece that is not copied, and what ends it.
///
/// It has no memory of its own when there is nothing to write, because most connections are idle.
#[derive(Debug)]
pub(super) struct Output<D> {
    buffer: Vec<u8>,
    /// What is written of the buffer.
    written: usize,
    piece: Option<D>,
    end: &'static [u8],
}

impl<D: Buf> Output<D> {
    pub(super) fn new() -> Self {
        Self { buffer: Vec::new(), written: 0, piece: None, end: b"" }
    }

    /// Where heads are written.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.piece.is_none(), "a head goes before its body");
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(ROOM);
        }
        &mut self.buffer
    }

    /// Adds a piece, and what ends it.
    pub(super) fn push(&mut self, piece: D, end: &'static [u8]) {
        debug_assert!(self.piece.is_none() && self.end.is_empty(), "one large piece at a time");
        if piece.remaining() < JOINED {
            let buffer = self.buffer();
            buffer.reserve(piece.remaining() + end.len());
            buffer.put(piece);
            buffer.extend_from_slice(end);
        } else {
            (self.piece, self.end) = (Some(piece), end);
        }
    }

    /// Whether what is there must leave before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.piece.is_some() || !self.end.is_empty() || self.buffer.len() - self.written >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.len() == self.written && self.piece.is_none() && self.end.is_empty()
    }

    /// Writes as much as goes at once, and says how much that was.
    pub(super) fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let buffer = &self.buffer[self.written..];
        let stream = Pin::new(stream);
        let n = match &self.piece {
            None if self.end.is_empty() => ready!(stream.poll_write(cx, buffer))?,
            piece => {
                let piece = piece.as_ref().map_or(&b""[..], Buf::chunk);
                // What ends a piece goes along with its last chunk only.
                let end = if self.piece.as_ref().is_none_or(|whole| whole.remaining() == piece.len()) {
                    self.end
                } else {
                    b""
                };
                let all = [IoSlice::new(buffer), IoSlice::new(piece), IoSlice::new(end)];
                let first = all.iter().position(|part| !part.is_empty()).unwrap_or(0);
                ready!(stream.poll_write_vectored(cx, &all[first..]))?
            }
        };
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(n);
        Poll::Ready(Ok(n))
    }

    fn advance(&mut self, n: usize) {
        let of_buffer = n.min(self.buffer.len() - self.written);
        self.written += of_buffer;
        if self.written == self.buffer.len() {
            (self.buffer, self.written) = (Vec::new(), 0);
        }
        let mut n = n - of_buffer;
        if let Some(piece) = &mut self.piece {
            let of_piece = n.min(piece.remaining());
            piece.advance(of_piece);
            n -= of_piece;
            if !piece.has_remaining() {
                self.piece = None;
            }
        }
        let end = mem::take(&mut self.end);
        self.end = &end[n..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::task::Waker;

    /// Takes a few bytes at a time.
    struct Narrow(Vec<u8>, usize);

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let n = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            all: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = all.iter().flat_map(|part| part.iter().copied()).collect();
            let n = all.len().min(self.1);
            self.0.extend_from_slice(&all[..n]);
            Poll::Ready(Ok(n))
        }
    }

    fn written(pieces: Vec<Box<dyn Buf>>, step: usize) -> Vec<u8> {
        let (mut output, mut stream) = (Output::new(), Narrow(Vec::new(), step));
        let cx = &mut Context::from_waker(Waker::noop());
        let mut flush = |output: &mut Output<_>| {
            while !output.is_empty() {
                assert!(output.poll_write(&mut stream, cx).is_ready());
            }
        };
        output.buffer().extend_from_slice(b"head ");
        for piece in pieces {
            output.push(piece, b"\r\n");
            if output.is_full() {
                flush(&mut output);
            }
        }
        flush(&mut output);
        stream.0
    }

    #[test]
    fn all_leaves_in_order_however_little_goes_at_a_time() {
        let large = vec![b'x'; JOINED];
        let expected = [&b"head "[..], b"small\r\n", &large, b"\r\n", b"a", &large, b"b\r\n", b"last\r\n"].concat();
        for step in [1, 2, 3, 7, 4096, 1 << 20] {
            // One of several chunks, as bodies may be.
            let chain = Bytes::from_static(b"a").chain(Bytes::from(large.clone())).chain(Bytes::from_static(b"b"));
            let pieces: Vec<Box<dyn Buf>> = vec![
                Box::new(Bytes::from_static(b"small")),
                Box::new(Bytes::from(large.clone())),
                Box::new(chain),
                Box::new(Bytes::from_static(b"last")),
            ];
            assert!(written(pieces, step) == expected, "in steps of {step}");
        }
    }
}
