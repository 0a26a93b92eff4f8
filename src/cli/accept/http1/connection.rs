use super::{
    super::{Incoming, Limits, Place, signal::Given, socket::Moves},
    ended::Ended,
    head::{Framing, Head, Refused},
    response::{self, Coding},
    upload::{Upload, upload},
    wire::Wire,
};
use crate::clock;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::Either;
use http::{HeaderValue, Method, Request, Response, Version, header, response::Parts};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io, mem,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Handle,
    time::Instant,
};
use tower::{Service, ServiceExt, util::Oneshot};

/// What answers a request.
type Answer<S> = Either<<S as Service<Request<Incoming>>>::Future, Oneshot<S, Request<Incoming>>>;

pin_project! {
    /// A connection, from its first request to its end: one request after the other, each answered before the next is read.
    ///
    /// One future does it all, the answering too, so that an answer needs no task and no channel, and a client that goes away
    /// drops what it waited for.
    pub(super) struct Connection<T, S, B>
    where
        S: Service<Request<Incoming>>,
        B: Body,
    {
        wire: Wire<T, B::Data>,
        // One copy for all requests: each would touch, on every core, what all copies share.
        service: S,
        #[pin]
        state: State<Answer<S>, B>,
        exchange: Exchange,
        // Whether no request is taken after this one.
        is_last: bool,
        #[pin]
        closing: Given,
        place: Option<Place>,
    }
}

/// What became of a connection.
pub(in super::super) enum Fate {
    Over,
    /// Its place is another now: it leaves this runtime, arrives at that one, and is polled on.
    Moves(Handle),
}

pin_project! {
    #[project = Step]
    enum State<F, B> {
        // Between two requests.
        Idle,
        Answering { #[pin] answer: F },
        Sending { #[pin] body: B, coding: Coding },
        // The answer is complete, if not written yet.
        Answered,
        Closing { owes: bool, why: Option<Ended> },
    }
}

/// What the connection must know of the request that is being answered.
#[derive(Default)]
struct Exchange {
    /// The part of its body that has not arrived.
    upload: Option<Upload>,
    /// Whether the client waits for a word before it sends the body.
    expects: bool,
    /// Why what came in place of the body is none; whoever reads it was told.
    broken: Option<Ended>,
    is_head: bool,
    is_http11: bool,
}

impl Exchange {
    /// Brings the body to whoever reads it, and watches for the client to go away.
    fn poll_upload<T, D>(&mut self, wire: &mut Wire<T, D>, cx: &mut Context<'_>) -> Poll<Result<(), Ended>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
        D: Buf,
    {
        match ready!(wire.poll_upload(&mut self.upload, &mut self.expects, cx)) {
            // It is answered in the service's words, and nothing after it is a request.
            Err(broken @ Ended::Refused(_)) => {
                self.broken = Some(broken);
                Poll::Ready(Ok(()))
            }
            uploaded => Poll::Ready(uploaded),
        }
    }

    /// Whether another request can be told from what is left of this one.
    fn leaves_a_request(&self) -> bool {
        let skips = |upload: &Upload| !self.expects && upload.is_short();
        self.broken.is_none() && self.upload.as_ref().is_none_or(skips)
    }
}

impl<T, S, B> Connection<T, S, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    pub(super) fn new(
        stream: T,
        service: S,
        limits: Limits,
        begun: Instant,
        closing: Given,
        place: Option<Place>,
    ) -> Self {
        let wire = Wire::new(stream, limits, begun);
        Self { wire, service, state: State::Idle, exchange: Exchange::default(), is_last: false, closing, place }
    }

    pub(super) fn leave(self: Pin<&mut Self>) -> io::Result<()>
    where
        T: Moves,
    {
        self.project().wire.stream().leave()
    }

    pub(super) fn arrive(self: Pin<&mut Self>) -> io::Result<()>
    where
        T: Moves,
    {
        let wire = self.project().wire;
        wire.deadline.renew();
        wire.stream().arrive()
    }

    fn poll_steps(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Fate, Ended>> {
        loop {
            match ready!(self.as_mut().poll_step(cx)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(fate)) => return Poll::Ready(Ok(fate)),
                // Nothing of another answer is on its way, so that this is one.
                Err(Ended::Refused(refused)) if matches!(self.state, State::Idle) => self.as_mut().refuse(refused),
                Err(why) => return Poll::Ready(Err(why)),
            }
        }
    }

    /// One step; ready when another can follow, or with the end of the connection.
    fn poll_step(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<ControlFlow<Fate>, Ended>> {
        let this = self.as_mut().project();
        let (wire, exchange) = (this.wire, this.exchange);
        match this.state.project() {
            Step::Idle => {
                // Who has not said anything yet need not be heard.
                if *this.is_last && wire.is_fresh() {
                    return Poll::Ready(Ok(ControlFlow::Break(Fate::Over)));
                }
                match ready!(wire.poll_head(cx, *this.is_last))? {
                    Some(head) => self.begin(head),
                    None => self.close(false, None),
                }
            }
            Step::Answering { answer } => match answer.poll(cx) {
                Poll::Ready(Ok(response)) => self.answer(response),
                Poll::Ready(Err(never)) => match never {},
                Poll::Pending => ready!(exchange.poll_upload(wire, cx))?,
            },
            Step::Sending { body, coding } => {
                if ready!(poll_send(wire, exchange, body, coding, cx))? {
                    self.project().state.set(State::Answered);
                }
            }
            Step::Answered => {
                ready!(wire.poll_flush(cx))?;
                if *this.is_last || exchange.broken.is_some() {
                    let broken = exchange.broken.take();
                    let owes = broken.is_some() || exchange.upload.take().is_some() || !wire.input.is_empty();
                    *this.is_last = true;
                    self.close(owes, broken);
                } else {
                    if let Some(upload) = &mut exchange.upload {
                        ready!(wire.poll_skip(upload, cx))?;
                    }
                    let now = wire.idle();
                    // What has arrived already is answered first.
                    let place = this.place.as_mut().filter(|_| wire.input.is_empty());
                    let moves = place.and_then(|place| place.moves(now));
                    self.project().state.set(State::Idle);
                    if let Some(runtime) = moves {
                        return Poll::Ready(Ok(ControlFlow::Break(Fate::Moves(runtime))));
                    }
                }
            }
            Step::Closing { owes, why } => {
                let closed = match ready!(wire.poll_flush(cx)) {
                    Ok(()) => ready!(wire.poll_close(cx, *owes)),
                    failed => failed,
                };
                // Why it is closed says more than how that went.
                return Poll::Ready(why.take().map_or(closed.map(|()| ControlFlow::Break(Fate::Over)), Err));
            }
        }
        Poll::Ready(Ok(ControlFlow::Continue(())))
    }

    /// Calls the service.
    fn begin(self: Pin<&mut Self>, head: Head) {
        let mut this = self.project();
        let Head { parts, mut framing, keeps_alive, expects } = head;
        *this.is_last |= !keeps_alive;
        let (is_head, is_http11) = (parts.method == Method::HEAD, parts.version == Version::HTTP_11);
        *this.exchange = Exchange { upload: None, expects, broken: None, is_head, is_http11 };
        let body = match whole(&mut framing, this.wire.input.buffer()) {
            Some(body) => Incoming::whole(body),
            None => {
                let (connection, reader) = upload(framing);
                this.exchange.upload = Some(connection);
                Incoming::arriving(reader)
            }
        };
        this.wire.input.settle();
        let answer = call(this.service, Request::from_parts(parts, body));
        this.state.set(State::Answering { answer });
    }

    /// Writes the head of an answer.
    fn answer(self: Pin<&mut Self>, response: Response<B>) {
        let mut this = self.project();
        let (Parts { status, headers, .. }, body) = response.into_parts();
        let exchange = this.exchange;
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        let coding = Coding::of(status, length, exchange.is_head, exchange.is_http11);
        *this.is_last |=
            !exchange.leaves_a_request() || coding == Coding::Close || closes(headers.get(header::CONNECTION));
        // Behind this head a word to go on would be read as part of the body.
        exchange.expects = false;
        let ends = (*this.is_last, !exchange.is_http11);
        response::head(this.wire.output.buffer(), status, &headers, coding, ends);
        this.state.set(if coding.is_over() { State::Answered } else { State::Sending { body, coding } });
    }

    fn close(self: Pin<&mut Self>, owes: bool, why: Option<Ended>) {
        self.project().state.set(State::Closing { owes, why });
    }

    /// Answers what is no request; nothing after it is one.
    #[cold]
    fn refuse(mut self: Pin<&mut Self>, refused: Refused) {
        let this = self.as_mut().project();
        let text = format!("{}\n", refused.1);
        let plain = (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let length = Coding::Length(text.len() as u64);
        let out = this.wire.output.buffer();
        response::head(out, refused.0, &[plain].into_iter().collect(), length, (true, false));
        out.extend_from_slice(text.as_bytes());
        self.close(true, Some(refused.into()));
    }
}

impl<T, S, B> Future for Connection<T, S, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Output = Result<Fate, Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        *this.is_last = *this.is_last || this.closing.poll(cx).is_ready();
        clock::during(|| self.poll_steps(cx))
    }
}

/// Sends what there is of a body; ready with `true` at its end, with `false` when it is worth another look.
fn poll_send<T, B>(
    wire: &mut Wire<T, B::Data>,
    exchange: &mut Exchange,
    mut body: Pin<&mut B>,
    coding: &mut Coding,
    cx: &mut Context<'_>,
) -> Poll<Result<bool, Ended>>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    loop {
        if wire.output.is_full() {
            ready!(wire.poll_flush(cx))?;
        }
        match body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                // Nobody reads trailers, and few clients take them.
                if let Ok(data) = Frame::into_data(frame) {
                    coding.piece(&mut wire.output, data, body.is_end_stream())?;
                }
                if coding.is_over() {
                    return Poll::Ready(Ok(true));
                }
            }
            Poll::Ready(None) => {
                if wire.output.is_full() {
                    ready!(wire.poll_flush(cx))?;
                }
                coding.end(&mut wire.output)?;
                return Poll::Ready(Ok(true));
            }
            Poll::Ready(Some(Err(why))) => {
                // What came before it is the client's, if it takes it at once.
                let _ = wire.poll_flush(cx)?;
                return Poll::Ready(Err(Ended::Body(why.into())));
            }
            Poll::Pending => {
                let _ = wire.poll_flush(cx)?;
                return exchange.poll_upload(wire, cx).map_ok(|()| false);
            }
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

/// A body that came with its head, as most do.
fn whole(framing: &mut Framing, buffer: &mut BytesMut) -> Option<Bytes> {
    match framing {
        Framing::Length(left) if *left <= buffer.len() as u64 => Some(buffer.split_to(*left as usize).freeze()),
        _ => None,
    }
}

fn closes(connection: Option<&HeaderValue>) -> bool {
    let options = connection.map_or(&b""[..], HeaderValue::as_bytes).split(|byte| *byte == b',');
    options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(b"close"))
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
