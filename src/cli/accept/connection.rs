use super::{
    Limits,
    phase::{Busy, Phase},
    signal::Signal,
    stream::Watched,
};
use crate::metrics::{Count, Metrics};
use futures_util::future::Either;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use std::{
    cell::RefCell,
    convert::Infallible,
    error::Error,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tower::{Service, ServiceExt, util::Oneshot};

/// The largest request head: room for tokens and cookies of every kind, and thousands of them fit in memory.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// What is read ahead of the service, and what is written ahead of the client beside one frame of its answer.
pub(super) const MAX_BUFFER: usize = 128 << 10;

/// Serves one connection of HTTP/1.1 to its end. When `closing` is given, the answer in flight is the last one.
pub(super) fn serve<T, S, B>(
    stream: T,
    service: S,
    (limits, metrics): (Limits, Metrics),
    begun: Instant,
    closing: Signal,
) -> impl Future<Output = ()> + Send
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let phase = Phase::default();
    let io = TokioIo::new(Watched::new(stream, phase.clone(), limits, metrics.clone(), begun));
    let requests = phase.clone();
    // One copy for all requests of the connection: each would touch, on every core, what all copies share.
    let service = RefCell::new(service);
    let answers = hyper::service::service_fn(move |request| {
        let busy = requests.busy();
        let answer = call(&mut *service.borrow_mut(), request);
        async move { answer.await.map(|response| response.map(|body| Answer { body, _busy: busy })) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.idle);
    server.max_header_size(MAX_HEAD).max_buf_size(MAX_BUFFER);
    // Boxed, and made outside of the future, which would have room for each step of the making as long as it lives.
    let mut connection = Box::pin(server.serve_connection(io, answers));
    async move {
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = closing.given() => {
                // hyper closes an idle connection now and a busy one after its answer, but takes one that has not
                // said anything yet for busy.
                if phase.is_fresh() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            if error.is_parse() {
                metrics.count(Count::Malformed);
            }
            tracing::debug!(error = &error as &dyn Error, "connection ended");
        }
    }
}

/// Calls `service` where that is ready, as most are at once. Otherwise the request takes it along, with the place it may have in
/// a queue, and leaves a copy that has none.
fn call<S, R>(service: &mut S, request: R) -> Either<S::Future, Oneshot<S, R>>
where
    S: Service<R, Error = Infallible> + Clone,
{
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Either::Left(service.call(request)),
        Poll::Pending => {
            let copy = service.clone();
            Either::Right(mem::replace(service, copy).oneshot(request))
        }
    }
}

pin_project! {
    /// A response body that keeps its connection busy until it is complete or given up.
    struct Answer<B> {
        #[pin]
        body: B,
        _busy: Busy,
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Method, Reply, json::Params, limit::LimitLayer};
    use tokio_test::{assert_pending, task};
    use tower::{Layer, service_fn};

    #[test]
    fn a_request_that_waits_takes_its_place_in_the_queue_along_and_gives_it_back() {
        let ping = || Call::new(Method::PING, Params::empty());
        let limit = LimitLayer::new(1).layer(service_fn(|_: Call| std::future::pending::<Result<Reply, Infallible>>()));
        let (mut one, mut other) = (limit.clone(), limit.clone());
        let first = call(&mut one, ping());
        let mut second = task::spawn(call(&mut other, ping()));
        assert_pending!(second.poll());
        drop(first);
        assert!(second.is_woken(), "the permit is for the request that waits, not for a copy that nobody wakes");
        assert_pending!(second.poll());
        assert_eq!(limit.available(), 0);
        drop(second);
        assert_eq!(limit.available(), 1, "no copy keeps it");
    }
}
