//! Where an edge is mounted.

use super::support::*;
use http::StatusCode;
use serde_json::json;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_mcp_gateway::{BoxError, Call, Reply, edge::EdgeLayer, origin::OriginLayer};

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
