use crate::{
    find, stream, tool,
    wire::{Peer, Request},
};
use http::HeaderMap;
use serde_json::json;
use std::time::Duration;
use tower::ServiceExt;
use tower_mcp_gateway::{
    BoxError, Reply, Revision,
    error::is_connection,
    registry::Server,
    upstream::{error::Status, fallback::Fallback},
};

fn service(peer: &Peer) -> Fallback {
    let url = peer.url("/");
    let server = Server::http("a", "a", &url).unwrap();
    Fallback::new(&server, &url.parse().unwrap(), &HeaderMap::new())
}

fn send(service: &Fallback) -> tokio::task::JoinHandle<Result<Reply, BoxError>> {
    tokio::spawn(service.clone().oneshot(tool()))
}

/// Refuses both openings of Streamable HTTP.
async fn refuse(peer: &mut Peer, status: &str) {
    for method in ["server/discover", "initialize"] {
        let request = peer.next().await;
        assert_eq!(request.line(), "POST / HTTP/1.1");
        assert_eq!(request.json()["method"], method);
        request.respond(status, "", "").await;
    }
}

/// Takes a POST of this method and answers it on the stream, if it wants an answer.
async fn serve(peer: &mut Peer, stream: &mut Request, method: &str, result: serde_json::Value) {
    let post = peer.next().await;
    assert_eq!(post.line(), "POST /message HTTP/1.1");
    assert_eq!(post.json()["method"], method);
    let id = post.json()["id"].clone();
    post.accept().await;
    if !id.is_null() {
        stream.event(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()).await;
    }
}

/// Answers a first call over HTTP+SSE, and gives its stream.
async fn found(peer: &mut Peer, service: &Fallback) -> (Request, Reply) {
    let reply = send(service);
    refuse(peer, "405 Method Not Allowed").await;
    // The base answers with its status, as some servers do.
    peer.next().await.respond("200 OK", "content-type: application/json\r\n", "{}").await;
    let mut stream = stream(peer, "/message").await;
    let agreed = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "serverInfo": {"name": "s"}});
    serve(peer, &mut stream, "initialize", agreed).await;
    serve(peer, &mut stream, "notifications/initialized", json!(null)).await;
    serve(peer, &mut stream, "tools/call", json!({"n": 1})).await;
    (stream, reply.await.unwrap().unwrap())
}

#[tokio::test]
async fn a_server_that_refuses_posts_but_serves_a_stream_is_spoken_to_over_sse() {
    let mut peer = Peer::start().await;
    let service = service(&peer);
    let (mut stream, reply) = found(&mut peer, &service).await;
    assert_eq!(reply.as_single().unwrap().result().unwrap().as_str(), r#"{"n":1}"#);
    assert!(service.is_sse());
    assert_eq!(service.revision(), Some(Revision::V2024_11_05));
    assert_eq!(service.fault(), None);

    let again = send(&service);
    serve(&mut peer, &mut stream, "tools/call", json!({})).await;
    drop(again.await.unwrap().unwrap());
    assert!(peer.waiting().is_none());
}

#[tokio::test]
async fn a_server_that_has_moved_on_to_streamable_http_is_followed() {
    let mut peer = Peer::start().await;
    let service = service(&peer);
    let (stream, _) = found(&mut peer, &service).await;
    let kept = peer.stop().await;
    drop(stream);
    let mut next = Peer::at(kept);
    tokio::spawn(async move {
        while let Some(request) = next.any().await {
            if request.line().starts_with("GET") {
                request.respond("405 Method Not Allowed", "", "").await;
            } else if request.json()["method"] == "server/discover" {
                request.result(r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#).await;
            } else {
                request.result(r#"{"n":2}"#).await;
            }
        }
    });
    let back = async {
        loop {
            match send(&service).await.unwrap() {
                Ok(reply) => return reply,
                Err(error) => assert!(is_connection(&*error), "{error}"),
            }
        }
    };
    let reply = tokio::time::timeout(Duration::from_secs(5), back).await.expect("back within 5 s");
    assert_eq!(reply.as_single().unwrap().result().unwrap().as_str(), r#"{"n":2}"#);
    assert!(!service.is_sse());
    assert_eq!(service.revision(), Some(Revision::V2026_07_28));
    drop(send(&service).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_server_that_serves_no_stream_either_keeps_its_refusal() {
    let mut peer = Peer::start().await;
    let service = service(&peer);
    for _ in 0..2 {
        let calls = [send(&service), send(&service), send(&service)];
        refuse(&mut peer, "404 Not Found").await;
        for path in ["/", "/sse"] {
            let request = peer.next().await;
            assert_eq!(request.line(), format!("GET {path} HTTP/1.1"));
            request.respond("404 Not Found", "", "").await;
        }
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert_eq!(find::<Status>(&error).0, 404);
        }
        assert!(!service.is_sse());
        assert!(peer.waiting().is_none(), "one search for all");
    }
}

#[tokio::test]
async fn a_server_that_is_ill_is_not_taken_for_an_old_one() {
    let mut peer = Peer::start().await;
    let service = service(&peer);
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"] {
        let call = send(&service);
        peer.next().await.respond(status, "", "").await;
        find::<Status>(&call.await.unwrap().unwrap_err());
        assert!(peer.waiting().is_none());
    }
    let call = send(&service);
    for _ in ["server/discover", "initialize"] {
        peer.next().await.respond("401 Unauthorized", "", "").await;
    }
    find::<Status>(&call.await.unwrap().unwrap_err());
    assert!(peer.waiting().is_none());
}
