//! Each bound of a configuration is really in force.

use crate::{
    fleet::{Fleet, Mode, server},
    wire::{Post, call, request, text},
};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use http::{Request, Response};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;
use tower_mcp_gateway::{
    Gateway,
    config::{Config, Limits},
    edge::Body,
    origin::OriginLayer,
    registry::{Registry, Server, Status},
};

fn limits(text: &str) -> Limits {
    Config::parse(&format!("{{\"limits\": {{{text}}}}}"), |_| None).unwrap().limits
}

/// A gateway with these limits before one server in memory.
async fn gateway(fleet: &Fleet, text: &str) -> Gateway {
    let builder = Registry::builder().connect(fleet.connect()).endpoint(|_: &Server, connection| connection);
    let (registry, driver) = builder.build_with([server("a", "a")]).unwrap();
    tokio::spawn(driver);
    registry.tables().settled().await;
    sleep(Duration::from_millis(10)).await;
    Gateway::with_limits(registry, OriginLayer::localhost(), Duration::from_secs(30), &limits(text))
}

async fn send(gateway: &Gateway, request: Post) -> Response<Body> {
    gateway.clone().oneshot(request).await.unwrap()
}

fn listen() -> Post {
    request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))
}

#[tokio::test(start_paused = true)]
async fn calls_streams_and_bytes_are_counted_at_the_edge() {
    let fleet = Fleet::default();
    let gateway = gateway(&fleet, r#""maxInFlight": 1, "maxStreams": 1, "maxRequestBytes": 1024"#).await;
    fleet.peer("a").set(Mode::Streaming);
    let held = send(&gateway, call()).await;
    assert_eq!(send(&gateway, call()).await.status(), 503);
    drop(held);
    assert_eq!(send(&gateway, call()).await.status(), 200);

    let held = send(&gateway, listen()).await;
    assert_eq!(
        (held.status(), send(&gateway, listen()).await.status()),
        (http::StatusCode::OK, 503.try_into().unwrap())
    );
    let large = request("tools/call", json!({"name": "echo", "arguments": {"text": "x".repeat(1024)}}));
    assert_eq!(send(&gateway, large).await.status(), 413);
}

#[tokio::test(start_paused = true)]
async fn the_longest_total_ends_a_call_that_goes_on_and_on() {
    let fleet = Fleet::default();
    let gateway = gateway(&fleet, r#""maxTotal": 700"#).await;
    fleet.peer("a").set(Mode::Busy);
    let start = Instant::now();
    let answer = text(send(&gateway, call()).await).await;
    assert!(answer.contains("no answer within 700 ms"), "{answer}");
    assert!(start.elapsed() < Duration::from_millis(710));
}

fn initialize() -> Post {
    let params =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let request = Request::post("/mcp").header("host", "localhost").header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    request.body(http_body_util::Full::from(body.to_string())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sessions_are_counted_and_end_when_nobody_uses_them() {
    let fleet = Fleet::default();
    let gateway = gateway(&fleet, r#""maxSessions": 1, "idleTimeout": 50"#).await;
    assert_eq!(send(&gateway, initialize()).await.status(), 200);
    assert_eq!(send(&gateway, initialize()).await.status(), 503);
    sleep(Duration::from_millis(60)).await;
    assert_eq!(send(&gateway, initialize()).await.status(), 200);
}

/// A server of 2026-07-28 over HTTP.
#[derive(Default)]
struct Upstream {
    /// Answers everything with 500.
    broken: AtomicBool,
    /// Requests it answered so.
    failed: AtomicUsize,
    /// Calls that it will never answer.
    held: AtomicUsize,
}

async fn answer(State(upstream): State<Arc<Upstream>>, Json(message): Json<Value>) -> axum::response::Response {
    if upstream.broken.load(SeqCst) {
        upstream.failed.fetch_add(1, SeqCst);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let result = match message["method"].as_str().unwrap() {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
        "tools/list" => {
            let tool = |name| json!({"name": name, "inputSchema": {"type": "object"}});
            json!({"tools": [tool("echo"), tool("big")]})
        }
        "tools/call" if message["params"]["name"] == "big" => json!({"content": [], "x": "x".repeat(20_000)}),
        "tools/call" => {
            upstream.held.fetch_add(1, SeqCst);
            std::future::pending().await
        }
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            return Json(json!({"jsonrpc": "2.0", "id": message["id"], "error": error})).into_response();
        }
    };
    Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result})).into_response()
}

/// A whole gateway of this configuration before one real server.
async fn real(text: &str) -> (Gateway, Arc<Upstream>) {
    let upstream = Arc::new(Upstream::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = Router::new().route("/mcp", post(answer)).with_state(upstream.clone());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let mut config = Config::parse(text, |_| None).unwrap();
    config.servers.push(Server::http("a", "a", &url).unwrap());
    let (gateway, driver) = Gateway::from_config(config).unwrap();
    tokio::spawn(driver);
    until(&gateway, |status, listed| status == Status::Connected && listed).await;
    (gateway, upstream)
}

async fn until(gateway: &Gateway, wanted: impl Fn(Status, bool) -> bool) {
    let mut changes = gateway.registry().changes();
    let seen = async {
        loop {
            let list = gateway.registry().list();
            if wanted(list[0].status, list[0].listing.is_some()) {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), seen).await.expect("the server gets there");
}

#[tokio::test]
async fn a_server_gets_so_many_calls_at_once_and_its_messages_may_be_so_large() {
    let text = r#"{"limits": {"maxInFlightPerServer": 2, "maxMessageBytes": 16384}}"#;
    let (gateway, upstream) = real(text).await;
    let big = request("tools/call", json!({"name": "big"}));
    let answer = self::text(send(&gateway, big).await).await;
    assert!(answer.contains("too_large"), "{answer}");
    let held: Vec<_> = (0..2).map(|_| tokio::spawn(gateway.clone().oneshot(call()))).collect();
    while upstream.held.load(SeqCst) < 2 {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(send(&gateway, call()).await.status(), 503);
    assert_eq!(upstream.held.load(SeqCst), 2);
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_server_is_down_after_so_many_failed_checks_and_up_after_so_many_good_ones() {
    let (gateway, upstream) = real(r#"{"healthCheckInterval": 50, "limits": {"fall": 3, "rise": 2}}"#).await;
    upstream.broken.store(true, SeqCst);
    until(&gateway, |status, _| status == Status::Error).await;
    assert!(upstream.failed.load(SeqCst) >= 3);
    upstream.broken.store(false, SeqCst);
    until(&gateway, |status, _| status == Status::Connected).await;
}

#[cfg(feature = "stdio")]
#[tokio::test]
async fn a_child_that_will_not_leave_gets_the_grace_of_the_configuration() {
    let mut config = Config::parse(r#"{"limits": {"stopGrace": 100, "killGrace": 100}}"#, |_| None).unwrap();
    let deaf = std::env::temp_dir().join(format!("tower-mcp-gateway-deaf-{}", std::process::id()));
    let script = format!("trap '' TERM; : > '{}'; while :; do sleep 1; done", deaf.display());
    let stubborn = Server::stdio("a", "a", "sh").arg("-c").arg(script);
    config.servers.push(stubborn);
    let (gateway, driver) = Gateway::from_config(config).unwrap();
    tokio::spawn(driver);
    let ready = async {
        while !deaf.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), ready).await.expect("the child ran");
    std::fs::remove_file(&deaf).unwrap();
    assert_eq!(gateway.registry().list()[0].status, Status::Connecting, "it has a minute to answer first");
    let start = Instant::now();
    gateway.drain().await;
    assert!(gateway.registry().list().is_empty(), "it was killed");
    let took = start.elapsed();
    assert!((Duration::from_millis(190)..Duration::from_millis(1200)).contains(&took), "{took:?}");
}
