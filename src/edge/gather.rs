use super::{
    error::Refusal,
    layer::Settings,
    uploads::{Share, Uploads},
};
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
    time::Duration,
};
use tokio::time::timeout;

/// When there may be room for a large body again: most arrive within a second.
const ROOM_RETRY: Duration = Duration::from_secs(1);

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
    let (first, all, share) = (Bytes::new(), BytesMut::new(), Share::default());
    let mut whole = pin!(Gather { body, left: limit, limit, first, all, share, uploads: &settings.uploads });
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
        Unread::NoRoom => Problem::new(503, "overloaded", "too many large bodies are on their way")
            .with_retry_after(ROOM_RETRY)
            .into(),
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
    NoRoom,
    Failed(BoxError),
}

pin_project! {
    /// All of a body, as it came where it came in one piece.
    ///
    /// Pieces are copied together rather than kept: of a body in chunks of one byte each, every byte would cost thirty.
    struct Gather<'a, B> {
        #[pin]
        body: B,
        limit: usize,
        left: usize,
        uploads: &'a Uploads,
        share: Share,
        first: Bytes,
        all: BytesMut,
    }
}

impl<B: Body<Error: Into<BoxError>>> Future for Gather<'_, B> {
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
            let here = *this.limit - left;
            if here > Uploads::FREE && !this.body.is_end_stream() && !this.uploads.cover(this.share, here) {
                return Poll::Ready(Err(Unread::NoRoom));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    async fn status(pieces: &[usize], uploads: &Uploads) -> u16 {
        let frames = pieces.iter().map(|bytes| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; *bytes]))));
        let settings = Settings { uploads: uploads.clone(), ..Settings::default() };
        match gather(StreamBody::new(stream::iter(frames)), 0, &settings).await {
            Ok(body) => {
                assert_eq!(body.len(), pieces.iter().sum::<usize>());
                200
            }
            Err(refusal) => refusal.into_response().status().as_u16(),
        }
    }

    #[tokio::test]
    async fn a_long_body_that_is_still_arriving_needs_room_and_gives_it_back() {
        let (none, one) = (Uploads::of(0), Uploads::of(256 << 10));
        assert_eq!(status(&[40 << 10, 40 << 10, 1], &none).await, 503);
        assert_eq!(status(&[32 << 10, 32 << 10], &none).await, 200);
        let whole = Full::new(Bytes::from(vec![b' '; 1 << 20]));
        assert!(gather(whole, 0, &Settings { uploads: none, ..Settings::default() }).await.is_ok(), "it has arrived");
        for _ in 0..3 {
            assert_eq!(status(&[100 << 10, 100 << 10, 1], &one).await, 200);
            assert_eq!(status(&[100 << 10, 200 << 10, 1], &one).await, 503);
        }
    }
}
