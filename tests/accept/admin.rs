use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_mcp_gateway::{
    cli::admin::Admin,
    origin::OriginLayer,
    registry::{Registry, Server},
};

/// What the listener answers about a registry of two servers that nobody has reached yet.
async fn ask(request: http::request::Builder, ready: bool) -> (StatusCode, Value) {
    let (registry, _driver) = Registry::builder().build();
    let search = Server::http("search-1", "search", "http://u:hunter2@localhost/?k=hunter2").unwrap();
    registry.register(search.header("authorization", "hunter2").unwrap()).unwrap();
    registry.register(Server::stdio("files-1", "files", "files-server").arg("hunter2").env("K", "hunter2")).unwrap();
    let admin = OriginLayer::localhost().layer(Admin::new(registry, move || ready));
    let (head, body) = admin.oneshot(request.body(()).unwrap()).await.unwrap().into_parts();
    assert_eq!(head.headers["content-type"], "application/json");
    (head.status, serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap())
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "127.0.0.1:4001")
}

#[tokio::test]
async fn servers_are_shown_with_their_status_and_without_their_secrets() {
    let (status, servers) = ask(get("/servers"), true).await;
    let files = json!({"id": "files-1", "name": "files", "transport": "stdio", "status": "registered", "tools": []});
    let search = json!({"id": "search-1", "name": "search", "transport": "http", "status": "registered", "tools": []});
    assert_eq!((status, servers), (StatusCode::OK, json!([files, search])));
    assert_eq!(ask(get("/health"), true).await, (StatusCode::OK, json!([])));
}

#[tokio::test]
async fn it_can_be_probed_and_nothing_can_be_changed() {
    assert_eq!(ask(get("/healthz"), false).await, (StatusCode::OK, json!({"status": "ok"})));
    assert_eq!(ask(get("/readyz"), true).await.0, StatusCode::OK);
    assert_eq!(ask(get("/readyz"), false).await.0, StatusCode::SERVICE_UNAVAILABLE);
    for path in ["/servers", "/health", "/healthz", "/readyz"] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(ask(get(path).method(method), true).await.0, StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    assert_eq!(ask(get("/"), true).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn strange_names_and_pages_see_nothing() {
    let rebound = Request::get("/servers").header("host", "rebound.example");
    assert_eq!(ask(rebound, true).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(get("/servers").header("origin", "http://evil.example"), true).await.0, StatusCode::FORBIDDEN);
}
