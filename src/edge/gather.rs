use super::{error::Refusal, layer::Settings};
use crate::{
    BoxError,
    error::{Problem, find},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::future::poll_immediate;
use http_body::Body;
use http_body_util::LengthLimitError;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::time::timeout;

/// Reads the whole body, never more of it nor for longer than is allowed. `declared` is how long its sender says it is.
pub(super) async fn gather<B>(body: B, declared: u64, settings: &Settings) -> Result<Bytes, Refusal>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let limit = settings.max_request_bytes;
    // Known before a byte is read, if the sender says so; the size hint covers bodies without the header.
    if body.size_hint().lower() > limit as u64 || declared > limit as u64 {
        return Err(too_large());
    }
    let mut whole = pin!(Gather { body, left: limit, first: Bytes::new(), all: BytesMut::new() });
    // Most bodies come with their head, and need no timer.
    let read = match poll_immediate(&mut whole).await {
        Some(read) => read,
        // Boxed, because every request has room for it and few need it.
        None => match Box::pin(timeout(settings.body_timeout, whole)).await {
            Ok(read) => read,
            Err(_) => return Err(Problem::rpc(408, -32600, "the body took too long to arrive").into()),
        },
    };
    read.map_err(refusal)
}

#[cold]
fn refusal(unread: Unread) -> Refusal {
    match unread {
        Unread::TooLarge => too_large(),
        Unread::Failed(error) => match find::<LengthLimitError>(&*error) {
            Some(_) => too_large(),
            None => Refusal::invalid("the body could not be read to its end"),
        },
    }
}

#[cold]
fn too_large() -> Refusal {
    Problem::rpc(413, -32600, "the body is too large").into()
}

/// Why a body was not read to its end.
enum Unread {
    TooLarge,
    Failed(BoxError),
}

pin_project! {
    /// All of a body, as it came where it came in one piece.
    ///
    /// Pieces are copied together rather than kept: of a body in chunks of one byte each, every byte would cost thirty.
    struct Gather<B> {
        #[pin]
        body: B,
        left: usize,
        first: Bytes,
        all: BytesMut,
    }
}

impl<B: Body<Error: Into<BoxError>>> Future for Gather<B> {
    type Output = Result<Bytes, Unread>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Asked before each frame, so that what came whole is not asked for more.
        while !this.body.is_end_stream() {
            let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) else { break };
            let Ok(mut data) = frame.map_err(|error| Unread::Failed(error.into()))?.into_data() else { continue };
            let Some(left) = this.left.checked_sub(data.remaining()) else {
                return Poll::Ready(Err(Unread::TooLarge));
            };
            *this.left = left;
            if this.first.is_empty() && this.all.is_empty() {
                *this.first = data.copy_to_bytes(data.remaining());
                continue;
            }
            this.all.extend_from_slice(&std::mem::take(this.first));
            this.all.put(data);
        }
        let (first, all) = (std::mem::take(this.first), std::mem::take(this.all));
        Poll::Ready(Ok(if all.is_empty() { first } else { all.freeze() }))
    }
}
