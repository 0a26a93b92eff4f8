#[cfg(feature = "legacy")]
use super::legacy::Legacy;
use super::{
    Body,
    begun::Begun,
    error::Refusal,
    future::ResponseFuture,
    gather::gather,
    headers::{Fields, Head},
    incoming::Incoming,
    layer::Settings,
    modern,
    running::Inner,
};
use crate::{BoxError, Call, Reply};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response, request::Parts};
use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn, ready},
    mem,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower::Service;

/// Takes HTTP requests and makes calls; made by [`EdgeLayer`](super::EdgeLayer).
///
/// Always ready, never fails, `Clone + Send + Sync`: what HTTP servers ask for, which call clones without asking for
/// readiness. Each request's body is read before a clone of the service behind is made ready, so a slow upload holds
/// no permit; the layer right behind should shed load rather than wait.
///
/// What layers in front put into the request's extensions travels on in the call's.
///
/// ```
/// use tower::{Layer, service_fn};
/// use tower_mcp_gateway::{BoxError, Call, Reply, edge::EdgeLayer, reply::Outcome};
///
/// let gateway = EdgeLayer::new()
///     .layer(service_fn(|_: Call| async { Ok::<_, BoxError>(Reply::single(Outcome::Accepted)) }));
/// let app: axum::Router = axum::Router::new()
///     .route_service("/mcp", gateway.clone()) // both eras
///     .route_service("/sse", gateway.clone()) // HTTP+SSE: the stream …
///     .route_service("/messages", gateway);   // … and where its client posts
/// # drop(app);
/// ```
#[derive(Clone)]
pub struct Edge<S> {
    /// Shared, so that a request carries a pointer and copies the stack behind only to spend its readiness. A copy that is kept
    /// for the next call would keep what it reserved, where a layer answers a call itself.
    inner: Arc<S>,
    settings: Arc<Settings>,
    #[cfg(feature = "legacy")]
    legacy: Arc<Legacy>,
}

impl<S> Edge<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self {
            inner: Arc::new(inner),
            #[cfg(feature = "legacy")]
            legacy: Arc::new(Legacy::new(settings.clone())),
            settings,
        }
    }

    #[cfg(feature = "stdio")]
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    #[cfg(feature = "stdio")]
    pub(super) fn shared(&self) -> &Arc<S> {
        &self.inner
    }

    /// The service behind.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind.
    pub fn get_mut(&mut self) -> &mut S
    where
        S: Clone,
    {
        Arc::make_mut(&mut self.inner)
    }

    /// The service behind.
    pub fn into_inner(self) -> S
    where
        S: Clone,
    {
        Arc::unwrap_or_clone(self.inner)
    }

    /// Ends every session of initialize-era clients, with their calls and streams.
    ///
    /// For a gateway that stops, once it has waited for calls in flight: a client's open stream would keep its
    /// connection, and with it the HTTP server, for as long as the client likes. New sessions can still be opened.
    #[cfg(feature = "legacy")]
    pub fn close_sessions(&self) {
        self.legacy.close();
    }

    /// How many sessions of initialize-era clients there are.
    #[cfg(feature = "legacy")]
    pub fn sessions(&self) -> usize {
        self.legacy.sessions()
    }
}

impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Call, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let (edge, (mut parts, body)) = (self.clone(), request.into_parts());
        // What is borrowed here is held once; each function that owned it would add its size to the future's, which is
        // moved to where it runs.
        ResponseFuture::new(async move {
            let answered = match parts.method {
                Method::POST => post(&edge, &mut parts, body).await,
                #[cfg(feature = "legacy")]
                Method::DELETE => edge.legacy.delete(&parts),
                _ => other_than_post(&edge, parts).await,
            };
            answered.unwrap_or_else(|refusal| refusal.counted(&edge.settings.metrics))
        })
    }
}

#[expect(clippy::manual_async_fn, reason = "its future would hold the body twice")]
fn post<S, B>(
    edge: &Edge<S>,
    parts: &mut Parts,
    body: B,
) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send
where
    S: Inner,
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async move {
        let extensions = mem::take(&mut parts.extensions);
        let (uri, headers) = (&parts.uri, &parts.headers);
        let Fields { media, target } = Fields::of(headers);
        media.check(headers)?;
        let body = gather(body, media.declared(), &edge.settings).await?;
        let head = Head { uri, headers, target: &target, extensions };
        let mut answered = pin!(begin(edge, head, body)?.answered(edge.settings.keep_alive));
        poll_fn(move |cx| {
            let answered = answered.as_mut().poll(cx);
            if answered.is_pending() {
                // Nobody looks at them any more, and there is nothing else to do now.
                drop(mem::take(&mut parts.headers));
            }
            answered
        })
        .await
    }
}

fn begin<'a, S: Inner>(edge: &'a Edge<S>, head: Head<'_>, body: Bytes) -> Result<Begun<'a>, Refusal> {
    let incoming = Incoming::parse(body)?;
    #[cfg(feature = "legacy")]
    if !modern::claims(&head, &incoming) {
        return edge.legacy.post(&edge.inner, head, incoming);
    }
    modern::begin(&edge.inner, head, incoming)
}

#[cfg(feature = "legacy")]
#[cold]
fn other_than_post<S: Inner>(edge: &Edge<S>, parts: Parts) -> BoxFuture<'_, Result<Response<Body>, Refusal>> {
    match parts.method {
        Method::GET => Box::pin(edge.legacy.get(&edge.inner, parts)),
        _ => Box::pin(ready(Err(Refusal::method_not_allowed(Legacy::ALLOW)))),
    }
}

#[cfg(not(feature = "legacy"))]
#[cold]
fn other_than_post<S>(_: &Edge<S>, _: Parts) -> BoxFuture<'_, Result<Response<Body>, Refusal>> {
    Box::pin(ready(Err(Refusal::method_not_allowed("POST"))))
}

impl<S: fmt::Debug> fmt::Debug for Edge<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("inner", &self.inner).field("settings", &self.settings).finish_non_exhaustive()
    }
}
