use super::http1::Arriving;
use crate::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

/// The body of a request.
///
/// Over HTTP/1.1 it is read from the connection when it is asked for, unless it came with its head; dropped before its end, the
/// rest is skipped if it is short, and ends the connection otherwise.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::BodyExt;
/// use std::convert::Infallible;
/// use tower_mcp_gateway::cli::accept::Incoming;
///
/// async fn echo(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new(match request.into_body().collect().await {
///         Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
///         Err(error) => format!("the body broke off: {error}"),
///     }))
/// }
/// ```
pub struct Incoming(Kind);

enum Kind {
    /// All there is, or what is left of it.
    Whole(Bytes),
    Arriving(Arriving),
    Http2(hyper::body::Incoming),
}

impl Incoming {
    pub(super) fn whole(body: Bytes) -> Self {
        Self(Kind::Whole(body))
    }

    pub(super) fn arriving(body: Arriving) -> Self {
        Self(Kind::Arriving(body))
    }

    pub(super) fn http2(body: hyper::body::Incoming) -> Self {
        Self(Kind::Http2(body))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(body) if body.is_empty() => Poll::Ready(None),
            Kind::Whole(body) => Poll::Ready(Some(Ok(Frame::data(mem::take(body))))),
            Kind::Arriving(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_empty(),
            Kind::Arriving(body) => body.is_end_stream(),
            Kind::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Kind::Arriving(body) => body.size_hint(),
            Kind::Http2(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(body) => write!(f, "Incoming({} bytes)", body.len()),
            Kind::Arriving(_) | Kind::Http2(_) => f.write_str("Incoming(arriving)"),
        }
    }
}
