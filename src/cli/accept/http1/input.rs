use bytes::BytesMut;
use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

/// What is read at once, in bytes: an ordinary request several times over.
const ROOM: usize = 16 << 10;
/// The most room that is made for what goes on arriving, in bytes: as much as a socket holds at a time.
const MOST_ROOM: usize = 64 << 10;

thread_local! {
    /// Where requests arrive. A connection takes memory only for what it has been sent, and an idle one has none.
    static ROOM_OF_ALL: RefCell<Box<[u8]>> = RefCell::new(vec![0; ROOM].into());
}

/// What has arrived on a connection and is not taken yet.
#[derive(Debug, Default)]
pub(super) struct Input(BytesMut);

impl Input {
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Lets go of memory in which nothing is left: it lives as long as anything that was taken from it.
    pub(super) fn settle(&mut self) {
        if self.0.is_empty() {
            self.0 = BytesMut::new();
        }
    }

    /// Reads more, 0 bytes at the end of the stream.
    pub(super) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        stream: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.0.is_empty() {
            // It doubles while more comes than fits.
            self.0.reserve(self.0.len().clamp(ROOM, MOST_ROOM));
            return poll_read_buf(Pin::new(stream), cx, &mut self.0);
        }
        ROOM_OF_ALL.with_borrow_mut(|room| {
            let mut arrived = ReadBuf::new(room);
            ready!(Pin::new(stream).poll_read(cx, &mut arrived))?;
            self.0 = BytesMut::from(arrived.filled());
            Poll::Ready(Ok(self.0.len()))
        })
    }
}
