//! Requests, and an edge over a mock.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::future::Future;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tower::{Layer, ServiceExt};
use tower_mcp_gateway::{
    BoxError, Call, Reply,
    edge::{Body, Edge, EdgeLayer},
    json::{Json, Params},
    reply::{Event, Note, Outcome},
};
use tower_test::mock::{self, Handle, Mock, SendResponse};

pub(crate) type TestEdge = Edge<Mock<Call, Reply>>;
pub(crate) type Behind = Handle<Call, Reply>;
pub(crate) type Post = Request<Full<Bytes>>;

pub(crate) fn edge() -> (TestEdge, Behind) {
    edge_with(EdgeLayer::new())
}

pub(crate) fn edge_with(layer: EdgeLayer) -> (TestEdge, Behind) {
    let (mock, handle) = mock::pair();
    (layer.layer(mock), handle)
}

/// A POST of 2026-07-28 with everything right.
pub(crate) fn modern(id: Value, method: &str, mut params: Value) -> Post {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let name = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
    let request = post(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    let request = request.with("mcp-protocol-version", "2026-07-28").with("mcp-method", method);
    match name {
        Some(name) => request.with("mcp-name", &name),
        None => request,
    }
}

pub(crate) fn post(body: Value) -> Post {
    raw(body.to_string())
}

pub(crate) fn raw(body: impl Into<Bytes>) -> Post {
    let request = Request::post("/mcp").header("content-type", "application/json");
    request.header("accept", "application/json, text/event-stream").body(Full::new(body.into())).unwrap()
}

pub(crate) fn bare(method: Method, uri: &str) -> Post {
    Request::builder().method(method).uri(uri).body(Full::default()).unwrap()
}

pub(crate) trait Change {
    fn with(self, name: &str, value: &str) -> Self;
    fn without(self, name: &str) -> Self;
    fn also(self, name: &str, value: &str) -> Self;
}

impl<B> Change for Request<B> {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers_mut().insert(header(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers_mut().remove(name);
        self
    }

    fn also(mut self, name: &str, value: &str) -> Self {
        self.headers_mut().append(header(name), value.parse().unwrap());
        self
    }
}

fn header(name: &str) -> HeaderName {
    name.parse().unwrap()
}

pub(crate) fn start(edge: &TestEdge, request: Post) -> JoinHandle<Response<Body>> {
    let answer = edge.clone().oneshot(request);
    tokio::spawn(async { answer.await.unwrap() })
}

/// The answer to a request that no call is made for.
pub(crate) async fn ask(edge: &TestEdge, request: Post) -> Response<Body> {
    edge.clone().oneshot(request).await.unwrap()
}

/// The answer to a request whose call is answered with `reply`; also gives the call.
pub(crate) async fn through(
    edge: &TestEdge,
    behind: &mut Behind,
    request: Post,
    reply: impl Into<Reply>,
) -> (Call, Response<Body>) {
    let answer = start(edge, request);
    let (call, respond) = next(behind).await;
    respond.send_response(reply.into());
    (call, answer.await.unwrap())
}

pub(crate) async fn next(behind: &mut Behind) -> (Call, SendResponse<Reply>) {
    behind.next_request().await.expect("a call")
}

pub(crate) fn result(value: Value) -> Outcome {
    Outcome::Result(Json::from_value(&value).unwrap())
}

pub(crate) fn error(value: Value) -> Outcome {
    Outcome::Error(Json::from_value(&value).unwrap())
}

pub(crate) fn note(method: &'static str, params: Value) -> Event {
    Event::from(Note::new(tower_mcp_gateway::Method::new(method), Params::from_value(&params).unwrap()))
}

pub(crate) fn progress(n: u64) -> Event {
    note("notifications/progress", json!({"progressToken": "t", "progress": n}))
}

/// A reply of these events.
pub(crate) fn events(events: Vec<Result<Event, BoxError>>) -> Reply {
    Reply::stream(stream::iter(events))
}

/// A reply whose events are sent when the test likes.
pub(crate) fn driven() -> (mpsc::UnboundedSender<Event>, Reply) {
    let (events, arriving) = mpsc::unbounded_channel();
    let arriving = stream::unfold(arriving, |mut arriving| async { Some((Ok(arriving.recv().await?), arriving)) });
    (events, Reply::stream(arriving))
}

/// A reply of these events that then says nothing more, and what completes once it is dropped.
pub(crate) fn endless(events: Vec<Event>) -> (Reply, impl Future<Output = ()>) {
    let (held, dropped) = oneshot::channel::<()>();
    let reply = Reply::stream(stream::iter(events).map(Ok).chain(stream::pending())).hold(held);
    (reply, async {
        let _ = dropped.await;
    })
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

pub(crate) async fn value(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

/// Checks an error answer: status, code, id.
pub(crate) async fn refused(response: Response<Body>, status: u16, code: i64, id: Value) -> Value {
    assert_eq!(response.status(), StatusCode::from_u16(status).unwrap());
    let body = value(response).await;
    assert_eq!((&body["error"]["code"], &body["id"]), (&json!(code), &id), "{body}");
    body
}

/// A response that is a stream of events, with what of it has been read ahead.
pub(crate) struct Reading {
    body: Body,
    ahead: String,
}

impl Reading {
    pub(crate) fn of(response: Response<Body>) -> Self {
        Self { body: response.into_body(), ahead: String::new() }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ahead.is_empty() && http_body::Body::is_end_stream(&self.body)
    }

    /// All that comes at once, and was not taken before.
    pub(crate) async fn together(&mut self) -> Option<String> {
        if self.ahead.is_empty() {
            let frame = self.body.frame().await?.unwrap().into_data().unwrap();
            self.ahead = String::from_utf8(frame.to_vec()).unwrap();
            assert!(self.ahead.ends_with("\n\n"), "no whole events: {}", self.ahead);
        }
        Some(std::mem::take(&mut self.ahead))
    }
}

impl Reading {
    /// What comes next, be it a piece of an event.
    pub(crate) async fn rest(&mut self) -> Result<String, String> {
        let frame = self.body.frame().await.expect("no end").map_err(|error| error.to_string())?;
        Ok(std::mem::take(&mut self.ahead) + std::str::from_utf8(&frame.into_data().unwrap()).unwrap())
    }
}

/// The next event of a stream.
pub(crate) async fn frame(reading: &mut Reading) -> Option<String> {
    let mut first = reading.together().await?;
    let end = first.find("\n\n").expect("a blank line") + 2;
    reading.ahead = first.split_off(end);
    Some(first)
}

/// The next message of a stream, whatever stands between.
pub(crate) async fn said(reading: &mut Reading) -> Option<Value> {
    loop {
        let frame = frame(reading).await?;
        if frame.lines().any(|line| line.len() > "data: ".len() && line.starts_with("data: ")) {
            return Some(message(&frame));
        }
    }
}

/// All messages of a stream.
pub(crate) async fn messages(response: Response<Body>) -> Vec<Value> {
    let mut body = Reading::of(response);
    let mut messages = Vec::new();
    while let Some(message) = said(&mut body).await {
        messages.push(message);
    }
    messages
}

/// The message in a frame.
pub(crate) fn message(frame: &str) -> Value {
    let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).expect("a message");
    serde_json::from_str(data).unwrap()
}

pub(crate) fn header_of<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}
