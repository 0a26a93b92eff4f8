use super::{
    AuthLayer, Principal,
    error::Denied,
    future::ResponseFuture,
    layer::{Check, Rules},
};
use crate::metrics::Count;
use bytes::Bytes;
use http::{Request, Response, header};
use std::task::{Context, Poll};
use tower::Service;

/// Lets requests in by their bearer token; made by [`AuthLayer`].
///
/// It forwards readiness and bodies untouched, takes the `Authorization` header off, and puts a [`Principal`] into the
/// extensions. Its own answers are made with `ResBody: From<Bytes>`, which [`edge::Body`](crate::edge::Body), axum's body
/// and `Full<Bytes>` all have.
#[derive(Clone, Debug)]
pub struct Auth<S> {
    inner: S,
    layer: AuthLayer,
}

impl<S> Auth<S> {
    /// Wraps `inner` with the rules of `layer`.
    pub const fn new(inner: S, layer: AuthLayer) -> Self {
        Self { inner, layer }
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

impl<S, B, ResBody> Service<Request<B>> for Auth<S>
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
        let Some(rules) = self.layer.rules() else { return ResponseFuture::forward(self.inner.call(request)) };
        match rules.check(request.headers()) {
            Check::Known(principal) => ResponseFuture::forward(self.inner.call(admitted(request, principal))),
            Check::Denied(denied) => ResponseFuture::refuse(refusal(rules, denied)),
        }
    }
}

/// A request whose sender is known.
fn admitted<B>(mut request: Request<B>, principal: Principal) -> Request<B> {
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(principal);
    request
}

fn refusal<ResBody: From<Bytes>>(rules: &Rules, denied: Denied) -> Response<ResBody> {
    rules.metrics.count(if denied == Denied::Scope { Count::Forbidden } else { Count::Unauthorized });
    match denied {
        Denied::Invalid(reason) => tracing::info!(reason, "a token was refused"),
        denied => tracing::debug!(%denied, "a request was refused"),
    }
    rules.challenge.refusal(denied)
}
