use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tower::{ServiceExt, service_fn};
use tower_mcp_gateway::{cli::routes::Routes, origin::OriginLayer};

/// Asks routes over a gateway that answers 202 with the path.
async fn ask(method: Method, uri: &str, ready: bool) -> (StatusCode, String) {
    let gateway = service_fn(|request: Request<()>| async move {
        let response = Response::builder().status(StatusCode::ACCEPTED).body(request.uri().path().to_owned());
        Ok::<_, Infallible>(response.unwrap())
    });
    let request = Request::builder().method(method).uri(uri).header("host", "elsewhere");
    let response = Routes::new(gateway, move || ready).oneshot(request.body(()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status, String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap())
}

#[tokio::test]
async fn each_path_is_answered_by_its_owner() {
    let resource = ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];
    for path in
        ["/", "/mcp", "/mcp/", "/sse", "/messages", "/messages?sessionId=1", "/mcp?x"].into_iter().chain(resource)
    {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            let (status, seen) = ask(method, path, true).await;
            assert_eq!((status, seen.as_str()), (StatusCode::ACCEPTED, path.split('?').next().unwrap()));
        }
    }
    for path in ["/mcpx", "/mcp/x", "/Mcp", "//", "/.well-known/oauth-authorization-server", "/healthz/"] {
        let (status, text) = ask(Method::GET, path, true).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(text.contains("/mcp") && text.contains("/sse") && text.contains("/readyz"), "{text}");
    }
}

#[tokio::test]
async fn health_is_told_to_whoever_gets_it() {
    for ready in [false, true] {
        assert_eq!(ask(Method::GET, "/healthz", ready).await, (StatusCode::OK, "ok\n".into()));
    }
    assert_eq!(ask(Method::GET, "/readyz", true).await.0, StatusCode::OK);
    assert_eq!(ask(Method::HEAD, "/readyz", false).await.0, StatusCode::SERVICE_UNAVAILABLE);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(Method::POST, path, true).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn readiness_is_asked_at_each_request() {
    let flag = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&flag);
    let gateway = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let routes = Routes::new(gateway, move || asked.load(Ordering::Relaxed));
    let probe = || Request::get("/readyz").body(()).unwrap();
    assert_eq!(routes.clone().oneshot(probe()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    flag.store(true, Ordering::Relaxed);
    assert_eq!(routes.oneshot(probe()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn every_page_looks_at_origin_and_host() {
    let gateway = || service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    for path in ["/healthz", "/readyz", "/metrics", "/nowhere"] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::DELETE] {
            let asked = |host: &str| Request::builder().method(method.clone()).uri(path).header("host", host);
            let strange = Routes::new(gateway(), || true).origin(OriginLayer::localhost());
            let response = strange.clone().oneshot(asked("rebound.example").body(()).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
            let page = asked("localhost").header("origin", "http://evil.example").body(()).unwrap();
            let response = strange.oneshot(page).await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
            assert!(!response.headers().contains_key("access-control-allow-origin"));
            let page = asked("10.0.0.1").header("origin", "http://10.0.0.1").body(()).unwrap();
            let response = Routes::new(gateway(), || true).oneshot(page).await.unwrap();
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}
