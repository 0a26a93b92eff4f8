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
    let body = body.collect().await.unwrap().to_bytes();
    if head.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8" {
        return (head.status, String::from_utf8(body.to_vec()).unwrap().into());
    }
    assert_eq!(head.headers["content-type"], "application/json");
    (head.status, serde_json::from_slice(&body).unwrap())
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
    for path in ["/servers", "/health", "/metrics", "/healthz", "/readyz"] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(ask(get(path).method(method), true).await.0, StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    assert_eq!(ask(get("/"), true).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_counted_is_shown_as_prometheus_text() {
    let (status, text) = ask(get("/metrics"), true).await;
    let text = text.as_str().unwrap();
    assert_eq!(status, StatusCode::OK);
    for line in [
        "# TYPE mcp_gateway_refused_total counter",
        "mcp_gateway_refused_total{reason=\"overloaded\"} 0",
        "# TYPE mcp_gateway_sessions gauge",
        "mcp_gateway_server_status{server=\"files-1\",name=\"files\",status=\"registered\"} 1",
        "mcp_gateway_server_status{server=\"files-1\",name=\"files\",status=\"connected\"} 0",
        "mcp_gateway_server_starts_total{server=\"files-1\",name=\"files\"} 0",
        "mcp_gateway_server_call_duration_seconds_bucket{server=\"search-1\",name=\"search\",le=\"+Inf\"} 0",
    ] {
        assert!(text.lines().any(|is| is == line), "{line}\n{text}");
    }
    assert!(!text.contains("hunter2"));
    let samples: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ')).collect();
    let names: std::collections::HashSet<_> = samples.iter().map(|sample| sample.unwrap().0).collect();
    assert_eq!(names.len(), samples.len(), "each is there once");
    let bounds = text.lines().filter(|line| line.contains("_bucket{server=\"search-1\"")).count();
    assert_eq!(bounds, 16, "fifteen bounds and all there is");
}

#[tokio::test]
async fn no_page_and_no_method_is_open_to_strangers() {
    for path in ["/servers", "/health", "/metrics", "/healthz", "/readyz", "/nowhere"] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::DELETE] {
            let rebound = Request::builder().method(method.clone()).uri(path).header("host", "rebound.example:4001");
            assert_eq!(ask(rebound, true).await.0, StatusCode::FORBIDDEN, "{method} {path}");
            let page = get(path).method(method.clone()).header("origin", "http://evil.example");
            assert_eq!(ask(page, true).await.0, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn strange_names_and_pages_see_nothing() {
    for path in ["/servers", "/health", "/metrics", "/healthz", "/readyz"] {
        let rebound = Request::get(path).header("host", "rebound.example");
        assert_eq!(ask(rebound, true).await.0, StatusCode::FORBIDDEN);
        assert_eq!(ask(get(path).header("origin", "http://evil.example"), true).await.0, StatusCode::FORBIDDEN);
    }
}
