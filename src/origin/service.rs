use super::{OriginLayer, error::Forbidden, future::ResponseFuture};
use crate::{error::Problem, json::write};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use std::task::{Context, Poll};
use tower::Service;

/// Lets requests in by their `Origin` and `Host`; made by [`OriginLayer`].
///
/// It forwards readiness and bodies untouched. Its own answers are made with `ResBody: From<Bytes>`, which
/// [`edge::Body`](crate::edge::Body), axum's body and `Full<Bytes>` all have.
#[derive(Clone, Debug)]
pub struct Origin<S> {
    inner: S,
    rules: OriginLayer,
}

impl<S> Origin<S> {
    /// Wraps `inner` with the rules of `layer`.
    pub const fn new(inner: S, layer: OriginLayer) -> Self {
        Self { inner, rules: layer }
    }

    /// The service behind.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, ResBody> Service<Request<B>> for Origin<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.rules.check(request.uri(), request.headers()) {
            Ok(()) => ResponseFuture::forward(self.inner.call(request)),
            Err(forbidden) => ResponseFuture::refuse(refusal(forbidden)),
        }
    }
}

/// The answer to a request that is not let in.
pub(crate) fn refusal<ResBody: From<Bytes>>(forbidden: Forbidden) -> Response<ResBody> {
    let reason = match forbidden {
        Forbidden::Origin => "origin",
        Forbidden::Host | Forbidden::HostCount => "host",
    };
    let problem = Problem::new(forbidden.status().as_u16(), reason, forbidden.to_string());
    let mut response = Response::new(write::error(None, &problem.to_json()).into());
    *response.status_mut() = problem.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
