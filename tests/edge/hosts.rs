//! Where an edge is mounted.

use super::support::*;
use futures_util::future::Either;
use http::StatusCode;
use serde_json::json;
use std::{
    future::{Ready, pending, ready},
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_gateway::{BoxError, Call, Method, Reply, edge::EdgeLayer, limit::LimitLayer, origin::OriginLayer};

#[tokio::test]
async fn axum_mounts_it_as_a_route() {
    let gateway = ServiceBuilder::new()
        .layer(OriginLayer::localhost())
        .layer(EdgeLayer::new())
        .service(service_fn(|_: Call| async { Ok::<_, BoxError>(Reply::from(result(json!({})))) }));
    let app: axum::Router = axum::Router::new().route_service("/mcp", gateway.clone()).route_service("/sse", gateway);
    let request = || modern(json!(1), "tools/list", json!({})).map(axum::body::Body::new);
    let response = app.clone().oneshot(request().with("host", "localhost")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let response = app.oneshot(request().with("host", "evil.example")).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[test]
fn it_can_be_shared_and_sent() {
    fn shareable<T: Clone + Send + Sync + 'static>(_: T) {}
    shareable(edge().0);
}

/// Answers lists itself, as a catalog does, and forwards readiness.
#[derive(Clone)]
struct Lists<S>(S);

impl<S: Service<Call, Response = Reply, Error = BoxError>> Service<Call> for Lists<S> {
    type Response = Reply;
    type Error = BoxError;
    type Future = Either<Ready<Result<Reply, BoxError>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        match call.method == Method::TOOLS_LIST {
            true => Either::Left(ready(Ok(Reply::from(result(json!({"tools": []})))))),
            false => Either::Right(self.0.call(call)),
        }
    }
}

#[tokio::test]
async fn what_a_call_reserved_behind_the_edge_is_free_again_when_a_layer_answered_it() {
    let limit = LimitLayer::new(1).layer(service_fn(|_: Call| pending::<Result<Reply, BoxError>>()));
    let edge = EdgeLayer::new().layer(Lists(limit.clone()));
    for id in 0..3 {
        let response = edge.clone().oneshot(modern(json!(id), "tools/list", json!({}))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(limit.available(), 1);
    }
}
