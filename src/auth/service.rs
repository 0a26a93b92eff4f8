use super::{
    AuthLayer, Principal, WELL_KNOWN,
    error::Denied,
    future::ResponseFuture,
    layer::{Check, Rules},
};
use crate::{error::Problem, json::write, metrics::Count};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use std::task::{Context, Poll};
use tower::Service;

/// Lets requests in by their bearer token; made by [`AuthLayer`].
///
/// It forwards readiness and bodies untouched, takes the `Authorization` header off, and puts a [`Principal`] into the
/// extensions. Where an access token has to wait for the keys of its issuer, the service behind is asked afterwards, and a
/// clone of it stands ready for the next request.
///
/// Its own answers are made with `ResBody: From<Bytes>`, which [`edge::Body`](crate::edge::Body), axum's body and
/// `Full<Bytes>` all have.
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
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
    ResBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rules = self.layer.rules();
        let path = request.uri().path();
        if path.starts_with(WELL_KNOWN) {
            let known = rules.and_then(|rules| rules.metadata(request.method(), path));
            return ResponseFuture::refuse(known.unwrap_or_else(nowhere));
        }
        let Some(rules) = rules else { return ResponseFuture::forward(self.inner.call(request)) };
        match rules.check(request.headers()) {
            Check::Known(principal) => ResponseFuture::forward(self.inner.call(admitted(rules, request, principal))),
            Check::Denied(denied) => ResponseFuture::refuse(refusal(rules, denied)),
            #[cfg(feature = "oauth")]
            Check::Later(verification) => {
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::verify(verification.0, (ready, request), rules.clone())
            }
        }
    }
}

/// A request whose sender is known.
pub(super) fn admitted<B>(rules: &Rules, mut request: Request<B>, principal: Principal) -> Request<B> {
    request.headers_mut().remove(header::AUTHORIZATION);
    let extensions = request.extensions_mut();
    match &rules.policies {
        Some(policies) => policies.admit(principal, extensions),
        None => {
            extensions.insert(principal);
        }
    }
    request
}

pub(super) fn refusal<ResBody: From<Bytes>>(rules: &Rules, denied: Denied) -> Response<ResBody> {
    rules.metrics.count(if denied == Denied::Scope { Count::Forbidden } else { Count::Unauthorized });
    match denied {
        Denied::Invalid(reason) => tracing::info!(reason, "a token was refused"),
        denied => tracing::debug!(%denied, "a request was refused"),
    }
    rules.challenge.refusal(denied)
}

/// A client that looks whether there is an authorization server must not take another answer for one.
fn nowhere<ResBody: From<Bytes>>() -> Response<ResBody> {
    let problem = Problem::new(404, "no_authorization_server", "there is no authorization server");
    let mut response = Response::new(write::error(None, &problem.to_json()).into());
    *response.status_mut() = problem.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
