//! Bodies that are too large, too slow, or break off.

use super::support::*;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::HeaderValue;
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};
use tower::{Service, ServiceExt};
use tower_mcp_gateway::{BoxError, edge::EdgeLayer};

fn streamed(
    chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
) -> http::Request<impl http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static> {
    modern(json!(1), "tools/list", json!({})).map(|_| StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
}

#[tokio::test]
async fn a_body_that_declares_too_much_is_refused_unread() {
    let (edge, _behind) = edge_with(EdgeLayer::new().max_request_bytes(100));
    let request = streamed(stream::pending()).with("content-length", "101");
    refused(edge.oneshot(request).await.unwrap(), 413, -32600, Value::Null).await;
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_refused_while_it_arrives() {
    let (edge, _behind) = edge_with(EdgeLayer::new().max_request_bytes(100));
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(b"          ")));
    refused(edge.oneshot(streamed(endless)).await.unwrap(), 413, -32600, Value::Null).await;
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let request = modern(json!(1), "tools/list", json!({}));
    let size = request.body().clone().collect().await.unwrap().to_bytes().len();
    let (edge, mut behind) = edge_with(EdgeLayer::new().max_request_bytes(size));
    let (_, response) = through(&edge, &mut behind, request.clone(), result(json!({}))).await;
    assert_eq!(response.status(), 200);
    let (edge, _behind) = edge_with(EdgeLayer::new().max_request_bytes(size - 1));
    refused(ask(&edge, request).await, 413, -32600, Value::Null).await;
}

#[tokio::test]
async fn the_limit_of_a_host_is_413_as_well() {
    let (edge, _behind) = edge();
    let request = modern(json!(1), "tools/list", json!({})).map(|body| Limited::new(body, 10));
    refused(edge.oneshot(request).await.unwrap(), 413, -32600, Value::Null).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let (edge, _behind) = edge();
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err("reset".into())]);
    refused(edge.oneshot(streamed(broken)).await.unwrap(), 400, -32600, Value::Null).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time_in_all_however_it_drips() {
    let (edge, _behind) = edge();
    let drip = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok(Bytes::from_static(b" ")), ()))
    });
    let begun = Instant::now();
    refused(edge.oneshot(streamed(drip)).await.unwrap(), 408, -32600, Value::Null).await;
    assert_eq!(begun.elapsed().as_secs(), 30);
    let (edge, _behind) = edge_with(EdgeLayer::new().body_timeout(Duration::from_secs(7)));
    let begun = Instant::now();
    refused(edge.oneshot(streamed(stream::pending())).await.unwrap(), 408, -32600, Value::Null).await;
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn a_slow_upload_holds_no_place_behind_the_edge() {
    let (edge, mut behind) = edge();
    behind.allow(1);
    let (chunks, body) = mpsc::unbounded_channel::<Result<Bytes, BoxError>>();
    let body = stream::unfold(body, |mut body| async { Some((body.recv().await?, body)) });
    let slow = tokio::spawn(edge.clone().oneshot(streamed(body)));
    let whole = modern(json!(1), "tools/list", json!({})).into_body().collect().await.unwrap().to_bytes();
    chunks.send(Ok(whole.slice(..10))).unwrap();
    let quick = modern(json!(2), "tools/list", json!({}));
    let (_, response) = through(&edge, &mut behind, quick, result(json!({}))).await;
    assert_eq!(response.status(), 200);
    behind.allow(1);
    chunks.send(Ok(whole.slice(10..))).unwrap();
    drop(chunks);
    next(&mut behind).await.1.send_response(result(json!({})).into());
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_edge_is_ready_while_what_is_behind_is_not() {
    let (mut edge, mut behind) = edge();
    behind.allow(0);
    let ready = futures_util::future::poll_fn(|cx| Service::<Post>::poll_ready(&mut edge, cx));
    assert!(futures_util::FutureExt::now_or_never(ready).is_some());
}

/// A header's value that tells when it goes.
struct Told {
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Told {
    fn as_ref(&self) -> &[u8] {
        b"told"
    }
}

#[tokio::test]
async fn the_fields_of_a_request_are_not_kept_while_its_call_waits() {
    let (edge, mut behind) = edge();
    let kept = Arc::new(());
    let mut request = modern(json!(1), "tools/list", json!({}));
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(Told { _alive: kept.clone() })).unwrap();
    request.headers_mut().insert("x-told", value);
    let mut answer = tokio_test::task::spawn(edge.clone().oneshot(request));
    behind.allow(1);
    assert!(answer.poll().is_pending());
    assert_eq!(Arc::strong_count(&kept), 1);
    next(&mut behind).await.1.send_response(result(json!({})).into());
    assert_eq!(answer.await.unwrap().status(), 200);
}
