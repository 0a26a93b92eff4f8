//! What an operator's programs ask a gateway: which servers there are, how they are, and what was counted.

use crate::registry::Registry;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::Service;

/// Shows a registry as JSON, and what is counted as Prometheus text; it changes nothing.
///
/// | path | answer |
/// |---|---|
/// | `GET /servers` | every server with status, tools, latest health check and the reason of an error |
/// | `GET /health` | the latest health check of every server |
/// | `GET /metrics` | what [`Exposition`](crate::metrics::Exposition) writes; only with the feature `metrics` |
/// | `GET /healthz` | 200 while the process lives |
/// | `GET /readyz` | 200 while the gateway is ready, otherwise 503 |
///
/// Connections, which may hold secrets, are not part of any answer. What is left still names what an installation is made
/// of, so listen on a loopback address, behind [`OriginLayer::localhost`](crate::origin::OriginLayer::localhost): without
/// it a page in a browser of that machine could read it all by DNS rebinding.
///
/// ```
/// use http::{Request, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_mcp_gateway::{cli::admin::Admin, origin::OriginLayer, registry::Registry};
///
/// # tokio_test::block_on(async {
/// let (registry, _driver) = Registry::builder().build();
/// let admin = ServiceBuilder::new().layer(OriginLayer::localhost()).service(Admin::new(registry, || true));
/// let asked = |host| Request::get("/servers").header("host", host).body(()).unwrap();
/// assert_eq!(admin.clone().oneshot(asked("localhost:4001")).await.unwrap().status(), StatusCode::OK);
/// assert_eq!(admin.oneshot(asked("rebound.example")).await.unwrap().status(), StatusCode::FORBIDDEN);
/// # });
/// ```
#[derive(Clone)]
pub struct Admin<R> {
    registry: Registry,
    ready: R,
}

impl<R> Admin<R> {
    /// Shows `registry`; `ready` is asked at each `GET /readyz`.
    pub const fn new(registry: Registry, ready: R) -> Self {
        Self { registry, ready }
    }
}

impl<R> fmt::Debug for Admin<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl<R, B> Service<Request<B>> for Admin<R>
where
    R: Fn() -> bool,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        ready(Ok(match (path, request.method()) {
            ("/servers", &Method::GET | &Method::HEAD) => json(StatusCode::OK, &self.registry.list()),
            ("/health", &Method::GET | &Method::HEAD) => json(StatusCode::OK, &self.registry.health()),
            #[cfg(feature = "metrics")]
            ("/metrics", &Method::GET | &Method::HEAD) => metrics(&self.registry),
            ("/healthz", &Method::GET | &Method::HEAD) => told(StatusCode::OK, "ok"),
            ("/readyz", &Method::GET | &Method::HEAD) if (self.ready)() => told(StatusCode::OK, "ready"),
            ("/readyz", &Method::GET | &Method::HEAD) => told(StatusCode::SERVICE_UNAVAILABLE, "not ready"),
            ("/servers" | "/health" | "/metrics" | "/healthz" | "/readyz", _) => not_allowed(),
            _ => told(StatusCode::NOT_FOUND, "ask for /servers, /health, /metrics, /healthz or /readyz"),
        }))
    }
}

fn told(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    json(status, &serde_json::json!({ "status": text }))
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Full<Bytes>> {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, b"{\"status\":\"internal error\"}".to_vec())
        }
    };
    written(status, "application/json", body.into())
}

#[cfg(feature = "metrics")]
fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    use crate::metrics::Exposition;
    let text = Exposition::new(registry.clone()).to_text();
    written(StatusCode::OK, Exposition::CONTENT_TYPE, text.into())
}

fn written(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
