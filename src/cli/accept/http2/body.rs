use super::streams;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The largest piece that is handed over at once. A large one would count as one step however long a client takes to read
/// it, and would lie in the connection's buffers as a whole.
const MAX_PIECE: usize = 16 << 10;

pin_project! {
    /// A response body in small pieces, which tells its stream when one is handed over and when there is room for the next.
    pub(super) struct Answer<B: Body> {
        #[pin]
        body: B,
        rest: Option<B::Data>,
    }
}

impl<B: Body> Answer<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, rest: None }
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        streams::asked();
        if !this.rest.as_ref().is_some_and(Buf::has_remaining) {
            match ready!(this.body.poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => *this.rest = Some(data),
                Some(Err(frame)) => {
                    return Poll::Ready(frame.into_trailers().ok().map(|sent| Ok(Frame::trailers(sent))));
                }
                None => return Poll::Ready(None),
            }
        }
        let piece = this.rest.as_mut().map(|rest| rest.copy_to_bytes(rest.remaining().min(MAX_PIECE)));
        streams::handed();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        !self.rest.as_ref().is_some_and(Buf::has_remaining) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref().map_or(0, Buf::remaining) as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
