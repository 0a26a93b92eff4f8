//! A request's body that arrives after its head, on its way from the connection to whoever reads it: a piece at a time, and
//! only when it is asked for.

use super::head::Framing;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::{
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What is left of a body that nobody reads is skipped up to so many bytes, so that the connection can be used again.
const SKIPPED: u64 = 64 << 10;

/// The connection's end.
#[derive(Debug)]
pub(super) struct Upload {
    slot: Arc<Mutex<Slot>>,
    framing: Framing,
}

/// The reader's end.
#[derive(Debug)]
pub(in super::super) struct Arriving(Arc<Mutex<Slot>>);

#[derive(Debug)]
struct Slot {
    /// What has been handed over and not taken; an error is the last.
    piece: Option<io::Result<Bytes>>,
    /// What is certain to follow, `piece` included.
    left: Option<u64>,
    /// Nothing follows `piece`.
    ended: bool,
    reader: Reader,
    /// The connection, when it waits for the reader.
    connection: Option<Waker>,
}

#[derive(Debug)]
enum Reader {
    Idle,
    /// It has asked for a piece.
    Waits(Waker),
    /// It will not ask for another.
    Gone,
}

/// What the reader wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Piece,
    /// Nothing for now; the task is woken when it does.
    Later,
    Nothing,
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // Whoever panicked under it left nothing half done: each change is an assignment.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two ends of a body.
pub(super) fn upload(framing: Framing) -> (Upload, Arriving) {
    let slot = Slot { piece: None, left: framing.known(), ended: false, reader: Reader::Idle, connection: None };
    let slot = Arc::new(Mutex::new(slot));
    (Upload { slot: slot.clone(), framing }, Arriving(slot))
}

impl Upload {
    /// What the reader wants.
    pub(super) fn wanted(&self, cx: &Context<'_>) -> Wanted {
        let mut slot = lock(&self.slot);
        match &slot.reader {
            Reader::Gone => Wanted::Nothing,
            Reader::Waits(_) => Wanted::Piece,
            Reader::Idle => {
                slot.connection = Some(cx.waker().clone());
                Wanted::Later
            }
        }
    }

    /// Hands over what has arrived, be it the end alone; `false` if nothing has.
    ///
    /// The reader is woken unless it is of the task of `cx`, which looks itself after this.
    ///
    /// # Errors
    ///
    /// What arrived is no body, which the reader is told too.
    pub(super) fn feed(&mut self, cx: &Context<'_>, buffer: &mut BytesMut) -> Result<bool, &'static str> {
        let piece = self.framing.take(buffer).map_err(|chunked| {
            self.fail(cx, io::Error::new(io::ErrorKind::InvalidData, chunked.0));
            chunked.0
        })?;
        let ended = self.framing.is_over();
        if piece.is_none() && !ended {
            return Ok(false);
        }
        self.hand(cx, piece.map(Ok), ended);
        Ok(true)
    }

    /// The rest will not come.
    pub(super) fn fail(&self, cx: &Context<'_>, why: io::Error) {
        self.hand(cx, Some(Err(why)), true);
    }

    fn hand(&self, cx: &Context<'_>, piece: Option<io::Result<Bytes>>, ended: bool) {
        let mut slot = lock(&self.slot);
        (slot.piece, slot.ended) = (piece, ended);
        if let Reader::Waits(waker) = mem::replace(&mut slot.reader, Reader::Idle)
            && !waker.will_wake(cx.waker())
        {
            drop(slot);
            waker.wake();
        }
    }

    /// Whether what is left is known to be little enough to be skipped.
    pub(super) fn is_short(&self) -> bool {
        self.framing.known().is_some_and(|left| left <= SKIPPED)
    }

    /// How the rest is found that nobody has read.
    pub(super) fn framing(&mut self) -> &mut Framing {
        &mut self.framing
    }
}

/// Whoever reads in another task learns that nothing more comes; what it has not taken is not the end of a body that was cut.
impl Drop for Upload {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        if slot.ended {
            return;
        }
        (slot.piece, slot.ended) = (Some(Err(io::ErrorKind::UnexpectedEof.into())), true);
        if let Reader::Waits(waker) = mem::replace(&mut slot.reader, Reader::Idle) {
            drop(slot);
            waker.wake();
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut slot = lock(&self.0);
        if let Some(piece) = slot.piece.take() {
            if let Ok(piece) = &piece {
                slot.left = slot.left.map(|left| left - piece.len() as u64);
            }
            return Poll::Ready(Some(piece.map(Frame::data)));
        }
        if slot.ended {
            return Poll::Ready(None);
        }
        slot.reader = Reader::Waits(cx.waker().clone());
        if let Some(connection) = slot.connection.take() {
            drop(slot);
            connection.wake();
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let slot = lock(&self.0);
        slot.ended && slot.piece.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut slot = lock(&self.0);
        slot.reader = Reader::Gone;
        if let Some(connection) = slot.connection.take() {
            drop(slot);
            connection.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio_test::{assert_pending, assert_ready, task};

    fn next(body: &mut Arriving, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
    }

    #[test]
    fn a_piece_is_handed_over_when_it_is_asked_for() {
        let (mut upload, mut body) = upload(Framing::Length(5));
        let connection = &Context::from_waker(Waker::noop());
        let mut reader = task::spawn(());
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(upload.wanted(connection), Wanted::Later);
        let mut reading = |body: &mut Arriving| reader.enter(|cx, _| next(body, cx));
        assert_pending!(reading(&mut body));
        assert_eq!(upload.wanted(connection), Wanted::Piece);
        assert!(!upload.feed(connection, &mut BytesMut::new()).unwrap());
        assert!(upload.feed(connection, &mut BytesMut::from("abc")).unwrap());
        assert_eq!(assert_ready!(reading(&mut body)).unwrap().unwrap(), "abc");
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_pending!(reading(&mut body));
        let mut buffer = BytesMut::from("deGET");
        assert!(upload.feed(connection, &mut buffer).unwrap());
        assert_eq!(buffer, "GET");
        assert_eq!(assert_ready!(reading(&mut body)).unwrap().unwrap(), "de");
        assert!(body.is_end_stream());
        assert!(assert_ready!(reading(&mut body)).is_none());
    }

    #[test]
    fn each_end_wakes_the_other() {
        let (mut upload, mut body) = upload(Framing::Chunked(Default::default()));
        let (mut connection, mut reader) = (task::spawn(()), task::spawn(()));
        assert_eq!(connection.enter(|cx, _| upload.wanted(cx)), Wanted::Later);
        assert_pending!(reader.enter(|cx, _| next(&mut body, cx)));
        assert!(connection.is_woken());
        assert!(connection.enter(|cx, _| upload.feed(cx, &mut BytesMut::from("1\r\nx\r\n0\r\n\r\n"))).unwrap());
        assert!(reader.is_woken());
        assert_eq!(connection.enter(|cx, _| upload.wanted(cx)), Wanted::Later);
        drop(body);
        assert!(connection.is_woken());
        assert_eq!(connection.enter(|cx, _| upload.wanted(cx)), Wanted::Nothing);
    }

    #[test]
    fn a_body_whose_connection_ends_fails_wherever_it_is_read() {
        let (mut upload, mut body) = upload(Framing::Length(5));
        let mut reader = task::spawn(());
        assert_pending!(reader.enter(|cx, _| next(&mut body, cx)));
        assert!(upload.feed(&Context::from_waker(Waker::noop()), &mut BytesMut::from("abc")).unwrap());
        drop(upload);
        assert!(reader.is_woken());
        assert!(assert_ready!(reader.enter(|cx, _| next(&mut body, cx))).unwrap().is_err());
        assert!(body.is_end_stream());
    }

    #[test]
    fn a_body_that_is_cut_or_is_none_fails() {
        let connection = &Context::from_waker(Waker::noop());
        for cut in [true, false] {
            let (mut upload, mut body) = upload(Framing::Chunked(Default::default()));
            if cut {
                upload.fail(connection, io::ErrorKind::UnexpectedEof.into());
            } else {
                upload.feed(connection, &mut BytesMut::from("x\r\n")).unwrap_err();
            }
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(assert_ready!(next(&mut body, cx)).unwrap().is_err());
            assert!(assert_ready!(next(&mut body, cx)).is_none());
        }
    }
}
