use super::Body;
use crate::{
    error::Problem,
    json::{Id, Malformed, write},
    metrics::{Count, Metrics},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use std::time::Duration;

/// A request the edge answers with an error itself: the problem, with the id of the request where it was read.
#[derive(Debug)]
pub(super) struct Refusal {
    // Boxed, because a refusal is the rare end of functions that return something small.
    problem: Box<Problem>,
    id: Option<Id>,
    allow: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(problem: Problem) -> Self {
        Self { problem: Box::new(problem), id: None, allow: None }
    }

    /// −32600: JSON, but not what is wanted here.
    pub(super) fn invalid(message: &'static str) -> Self {
        Self::new(Problem::rpc(400, -32600, message))
    }

    /// 405 with the methods that would do.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let problem = Problem::new(405, "method_not_allowed", "this method is not served here");
        Self { allow: Some(allow), ..Self::new(problem) }
    }

    pub(super) fn with_id(mut self, id: &Id) -> Self {
        self.id = Some(id.clone());
        self
    }

    /// That there is no room for a call, as the answer to it: where one is read off the response itself, clients of earlier
    /// revisions take other statuses for a failure of the transport and lose what was said.
    #[cfg(feature = "legacy")]
    pub(super) fn overload_answered(mut self) -> Self {
        if self.problem.status == StatusCode::SERVICE_UNAVAILABLE {
            self.problem.status = StatusCode::OK;
        }
        self
    }

    pub(super) fn count(&self, metrics: &Metrics) {
        metrics.count(Count::of_problem(&self.problem));
    }

    /// The response, which is counted.
    #[cold]
    pub(super) fn counted(self, metrics: &Metrics) -> Response<Body> {
        self.count(metrics);
        self.into_response()
    }

    /// The JSON-RPC message.
    pub(super) fn message(&self) -> Bytes {
        write::error(self.id.as_ref(), &self.problem.to_json())
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.message()));
        *response.status_mut() = self.problem.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(delay) = self.problem.retry_after {
            retry_after(headers, delay);
        }
        response
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let code = if malformed.is_json() { -32600 } else { -32700 };
        let problem = Problem::rpc(400, code, malformed.to_string());
        Self { id: malformed.id().cloned(), ..Self::new(problem) }
    }
}

/// Whole seconds, rounded up: a client that comes too early is refused again.
pub(super) fn retry_after(headers: &mut HeaderMap, delay: Duration) {
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    headers.insert(header::RETRY_AFTER, seconds.into());
}

/// A response without a body.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
