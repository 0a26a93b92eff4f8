//! The check of `Origin` and `Host`, without sockets.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_gateway::origin::OriginLayer;

type Headers<'a> = &'a [(&'a str, &'a str)];

fn request(uri: &str, headers: Headers<'_>) -> Request<()> {
    let request = Request::builder().method(Method::POST).uri(uri);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
}

/// The status of the answer, and whether the service behind was called.
async fn status(layer: &OriginLayer, request: Request<()>) -> (StatusCode, bool) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default())) }
    }));
    let response = service.oneshot(request).await.unwrap();
    assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    (response.status(), calls.load(Ordering::Relaxed) == 1)
}

async fn check(layer: &OriginLayer, headers: Headers<'_>, expected: u16) {
    let (status, called) = status(layer, request("/mcp", headers)).await;
    assert_eq!((status.as_u16(), called), (expected, expected == 200), "{headers:?}");
}

#[tokio::test]
async fn only_this_machine_is_let_in_by_default() {
    let layer = OriginLayer::localhost();
    for host in ["localhost", "localhost:4000", "LOCALHOST:1", "127.0.0.1:4000", "[::1]:4000", "[::1]"] {
        check(&layer, &[("host", host)], 200).await;
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "evil.example:4000",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "0.0.0.0",
        "[::ffff:8.8.8.8]",
        "",
        "localhost:",
        "localhost:99999",
        "localhost, evil.example",
    ] {
        check(&layer, &[("host", host)], 403).await;
    }
}

#[tokio::test]
async fn an_origin_must_be_a_page_of_this_machine() {
    let layer = OriginLayer::localhost();
    for origin in ["http://localhost:8080", "https://127.0.0.1", "http://[::1]:3000", "HTTP://LocalHost"] {
        check(&layer, &[("host", "localhost"), ("origin", origin)], 200).await;
    }
    for origin in
        ["http://evil.example", "null", "", "localhost", "file://localhost", "http://localhost.evil.example", "http://"]
    {
        check(&layer, &[("host", "localhost"), ("origin", origin)], 403).await;
    }
    check(&layer, &[("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")], 403).await;
}

#[tokio::test]
async fn a_rebound_page_is_refused_though_origin_and_host_agree() {
    let rebound = [("host", "evil.example:4000"), ("origin", "http://evil.example:4000")];
    check(&OriginLayer::localhost(), &rebound, 403).await;
}

#[tokio::test]
async fn there_must_be_exactly_one_host() {
    let layer = OriginLayer::localhost();
    check(&layer, &[], 400).await;
    check(&layer, &[("host", "localhost"), ("host", "evil.example")], 400).await;
    let (http2, called) = status(&layer, request("http://localhost:4000/mcp", &[])).await;
    assert_eq!((http2, called), (StatusCode::OK, true));
    let (http2, called) = status(&layer, request("http://evil.example/mcp", &[])).await;
    assert_eq!((http2, called), (StatusCode::FORBIDDEN, false));
    let (both, _) = status(&layer, request("http://localhost/mcp", &[("host", "evil.example")])).await;
    assert_eq!(both, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn named_origins_and_hosts_are_let_in_and_no_others() {
    let layer = OriginLayer::allow(["https://app.example.com", "http://dev.example.com:3000"])
        .allow_host("mcp.example.com")
        .allow_host("mcp.example.com.:8443");
    check(&layer, &[("host", "mcp.example.com:443"), ("origin", "https://app.example.com")], 200).await;
    check(&layer, &[("host", "mcp.example.com:443"), ("origin", "https://app.example.com:443")], 200).await;
    check(&layer, &[("host", "app.example.com")], 200).await;
    check(&layer, &[("host", "mcp.example.com.:8443")], 200).await;
    check(&layer, &[("host", "mcp.example.com.:80")], 403).await;
    check(&layer, &[("host", "mcp.example.com"), ("origin", "http://app.example.com")], 403).await;
    check(&layer, &[("host", "mcp.example.com"), ("origin", "http://dev.example.com:3001")], 403).await;
    check(&layer, &[("host", "mcp.example.com"), ("origin", "http://localhost")], 403).await;
    check(&layer, &[("host", "localhost")], 403).await;
    let wider = OriginLayer::localhost().allow_host("mcp.example.com");
    check(&wider, &[("host", "mcp.example.com")], 200).await;
    check(&wider, &[("host", "localhost")], 200).await;
}

#[tokio::test]
async fn without_the_check_everything_passes() {
    let layer = OriginLayer::any();
    check(&layer, &[], 200).await;
    check(&layer, &[("host", "evil.example"), ("origin", "null")], 200).await;
}

#[tokio::test]
async fn the_check_is_made_for_every_method_and_says_why_it_refuses() {
    let (host, page) = ([("host", "evil.example")], [("host", "localhost"), ("origin", "http://evil.example")]);
    let methods = [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD];
    let all = methods.into_iter().flat_map(|method| [(method.clone(), &host[..], "host"), (method, &page, "origin")]);
    for (method, headers, reason) in all {
        let mut evil = request("/mcp", headers);
        *evil.method_mut() = method;
        let service = OriginLayer::localhost().layer(service_fn(|_: Request<()>| async {
            panic!("called");
            #[allow(unreachable_code)]
            Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
        }));
        let response = service.oneshot(evil).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["data"]["reason"], reason);
    }
}

#[test]
#[should_panic(expected = "no origin")]
fn an_origin_with_a_path_is_a_mistake() {
    let _ = OriginLayer::allow(["https://app.example.com/x"]);
}
