//! Which path is whose: the gateway's, or one of the two an orchestrator asks.

use crate::origin::{OriginLayer, refusal};
use bytes::Bytes;
use futures_util::future::{Either as Future, Ready, ready};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use std::{
    convert::Infallible,
    fmt,
    task::{Context, Poll},
};
use tower::Service;

/// The paths a gateway answers at.
const GATEWAY: [&str; 5] = ["/mcp", "/mcp/", "/", "/sse", "/messages"];

/// Sends a request to the gateway or answers it, by its path.
///
/// `/mcp`, `/`, `/sse` and `/messages` go to the gateway, and so does what is asked about its authorization server. `GET /healthz` is answered 200 while the process lives and
/// `GET /readyz` 200 while the gateway says it is ready, 503 otherwise, so that an orchestrator restarts a program that
/// hangs and sends no clients to one that is starting or stopping. Anything else is 404 with a sentence that names
/// the paths.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceExt, service_fn};
/// use tower_mcp_gateway::cli::routes::Routes;
///
/// # tokio_test::block_on(async {
/// let gateway = service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) });
/// let routes = Routes::new(gateway, || false);
/// let request = Request::get("/readyz").body(()).unwrap();
/// assert_eq!(routes.oneshot(request).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
/// # });
/// ```
///
/// All paths but the gateway's, which looks itself, are under the rules of an [`OriginLayer`]: by default no page of a
/// browser, and any `Host`, because probes know the gateway by its address.
#[derive(Clone)]
pub struct Routes<G, R> {
    gateway: G,
    ready: R,
    origin: OriginLayer,
}

impl<G, R> Routes<G, R> {
    /// `ready` is asked at each `GET /readyz`.
    pub fn new(gateway: G, ready: R) -> Self {
        Self { gateway, ready, origin: OriginLayer::no_pages() }
    }

    /// Sets who may ask for what is not the gateway's; what is meant for the gateway passes unseen.
    #[must_use]
    pub fn origin(mut self, origin: OriginLayer) -> Self {
        self.origin = origin;
        self
    }
}

impl<G: fmt::Debug, R> fmt::Debug for Routes<G, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

impl<G, R, A, B> Service<Request<A>> for Routes<G, R>
where
    G: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    R: Fn() -> bool,
{
    type Response = Response<Either<B, Full<Bytes>>>;
    type Error = Infallible;
    type Future = Future<ResponseFuture<G::Future>, Ready<Result<Self::Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.gateway.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let path = request.uri().path();
        if GATEWAY.contains(&path) || path.starts_with(crate::auth::WELL_KNOWN) {
            return Future::Left(ResponseFuture { gateway: self.gateway.call(request) });
        }
        if let Err(forbidden) = self.origin.check(request.uri(), request.headers()) {
            return Future::Right(ready(Ok(refusal::<Full<Bytes>>(forbidden).map(Either::Right))));
        }
        let response = match (path, request.method()) {
            ("/healthz", &Method::GET | &Method::HEAD) => text(StatusCode::OK, "ok\n"),
            ("/readyz", &Method::GET | &Method::HEAD) if (self.ready)() => text(StatusCode::OK, "ready\n"),
            ("/readyz", &Method::GET | &Method::HEAD) => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            ("/healthz" | "/readyz", _) => not_allowed(),
            _ => text(StatusCode::NOT_FOUND, NOWHERE),
        };
        Future::Right(ready(Ok(response.map(Either::Right))))
    }
}

const NOWHERE: &str = "Nothing is here. MCP clients connect to /mcp (or /), clients of the older HTTP+SSE transport to \
                       /sse; /healthz and /readyz tell how the gateway is.\n";

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    response
}

pin_project_lite::pin_project! {
    /// The gateway's answer, its body beside that of the other paths.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        gateway: F,
    }
}

impl<F, B> std::future::Future for ResponseFuture<F>
where
    F: std::future::Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Either<B, Full<Bytes>>>, Infallible>;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().gateway.poll(cx).map_ok(|response| response.map(Either::Left))
    }
}
