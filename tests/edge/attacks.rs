//! Requests nobody should send, and connections that end at every step.

use super::support::*;
use futures_util::{FutureExt, stream};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    edge::{Body, EdgeLayer},
    reply::Event,
};

/// An edge over a service that answers everything at once.
fn answering()
-> impl Service<Post, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static {
    EdgeLayer::new()
        .layer(service_fn(|_: Call| async { Ok::<_, BoxError>(Reply::from(result(json!({"capabilities": {}})))) }))
}

fn words() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "2026-07-28",
        "2025-03-26",
        "tools/call",
        "initialize",
        "ping",
        "notifications/cancelled",
        "resources/read",
        "_meta",
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientCapabilities",
        "",
        "application/json",
        "=?base64?",
        "?=",
        "guessed",
    ];
    prop_oneof![4 => prop::sample::select(KNOWN).prop_map(String::from), 1 => "[ -~]{0,8}"]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![words().prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((words(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn messages()(id in values(), method in words(), params in values(), keep in any::<[bool; 4]>()) -> Value {
        let mut message = json!({"jsonrpc": "2.0"});
        let members = [("id", id), ("method", Value::from(method)), ("params", params.clone()), ("result", params)];
        for ((key, value), keep) in members.into_iter().zip(keep) {
            if keep {
                message[key] = value;
            }
        }
        message
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_answered(
        message in messages(),
        cut in prop::option::of(0usize..80),
        method in prop::sample::select(vec![Method::POST, Method::POST, Method::GET, Method::DELETE]),
        path in prop::sample::select(vec!["/", "/mcp", "/sse", "/messages?sessionId=x", "/messages", "*"]),
        headers in prop::collection::vec((0usize..7, words()), 0..6),
    ) {
        let names = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "accept", "content-length", "x"];
        let mut text = message.to_string();
        text.truncate(cut.unwrap_or(text.len()).min(text.len()));
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(names[name], HeaderValue::from_str(&value).unwrap());
        }
        let request = request.body(Full::from(text)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (status, body) = runtime.block_on(async {
            let response = answering().oneshot(request).await.unwrap();
            let (status, stream) = (response.status(), header_of(&response, "content-type") == Some("text/event-stream"));
            let text =
                if stream { frame(&mut Reading::of(response)).await } else { Some(text_of(response.into_body()).await) };
            (status, text.unwrap())
        });
        prop_assert!(status.is_success() || status.is_client_error(), "{status}: {body}");
        prop_assert!(!status.is_client_error() || serde_json::from_str::<Value>(&body).is_ok(), "{body}");
    }
}

async fn text_of(body: Body) -> String {
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Counts what is alive behind the edge.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_client_that_goes_at_any_step_leaves_nothing_behind() {
    let alive = Arc::new(AtomicUsize::new(0));
    let count = alive.clone();
    let edge = EdgeLayer::new().layer(service_fn(move |_: Call| {
        let alive = Alive::new(&count);
        async move {
            tokio::task::yield_now().await;
            let steps = stream::unfold((0, alive), |(n, alive)| async move {
                tokio::task::yield_now().await;
                let event = if n < 3 { progress(n) } else { Event::Done(result(json!({}))) };
                Some((Ok::<_, BoxError>(event), (n + 1, alive)))
            });
            Ok::<_, BoxError>(Reply::stream(steps))
        }
    }));
    let mut finished = 0;
    for polls in 0..40 {
        let mut left = polls;
        let mut answer = Box::pin(edge.clone().oneshot(modern(json!(1), "tools/call", json!({"name": "n"}))));
        let mut body = None;
        while left > 0 && body.is_none() {
            left -= 1;
            body = answer.as_mut().now_or_never().map(|response| response.unwrap().into_body());
        }
        if let Some(body) = &mut body {
            for _ in 0..left {
                if let Some(None) = body.frame().now_or_never() {
                    finished += 1;
                    break;
                }
            }
        }
        drop((answer, body));
        assert_eq!(alive.load(Ordering::Relaxed), 0, "after {polls} polls");
    }
    assert!(finished > 0, "no call was ever finished");
}

#[cfg(feature = "legacy")]
#[tokio::test]
async fn sessions_of_clients_that_go_at_any_step_lose_no_place() {
    use super::legacy::{open, request};
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    // More than a session has places for: each is given back once its call is over, although nobody took the answer.
    for n in 0..600 {
        let mut answer =
            Box::pin(edge.clone().oneshot(request(&session, json!(n), "tools/call", json!({"name": "n"}))));
        for _ in 0..n % 3 {
            assert!(answer.as_mut().now_or_never().is_none());
        }
        drop(answer);
        if n % 3 > 0 {
            next(&mut behind).await.1.send_response(result(json!({})).into());
            tokio::task::yield_now().await;
        }
    }
    let last = request(&session, json!("last"), "tools/call", json!({"name": "n"}));
    assert_eq!(through(&edge, &mut behind, last, result(json!({}))).await.1.status(), 200);
}

#[cfg(feature = "legacy")]
#[tokio::test]
async fn a_batch_of_single_digits_is_refused_before_it_grows() {
    let (edge, _behind) = edge();
    let flood = format!("[{}1]", "1,".repeat(1 << 20));
    refused(ask(&edge, raw(flood)).await, 400, -32600, Value::Null).await;
}
