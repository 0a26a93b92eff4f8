//! An edge over a service that answers everything at once.

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::{convert::Infallible, future::Future};
use tower::{Layer, Service, ServiceExt};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    edge::{Body, Edge, EdgeLayer},
    json::Json,
    reply::Outcome,
    seal::Keys,
};

/// The keys of every edge here.
pub fn keys() -> Keys {
    Keys::from_secrets(&["a secret of the fuzzers, which protects nothing"]).expect("long enough")
}

pub fn edge()
-> Edge<impl Service<Call, Response = Reply, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static> {
    EdgeLayer::new().keys(keys()).max_request_bytes(1 << 16).layer(tower::service_fn(|call: Call| async move {
        Ok::<_, BoxError>(match call.method.is_notification() {
            true => Outcome::Accepted.into(),
            false => Outcome::Result(Json::from_static(r#"{"capabilities":{}}"#)).into(),
        })
    }))
}

pub fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(future)
}

/// The answer to a request, which is none of a server that has failed.
pub fn ask(request: Request<Full<bytes::Bytes>>) -> Response<Body> {
    let answer: Result<_, Infallible> = wait(async { edge().oneshot(request).await });
    let answer = answer.unwrap_or_else(|never| match never {});
    assert!(!answer.status().is_server_error(), "{answer:?}");
    answer
}

/// The body of an answer that is no stream.
pub fn body(answer: Response<Body>) -> Vec<u8> {
    wait(answer.into_body().collect()).expect("an answer that is there as a whole").to_bytes().to_vec()
}
