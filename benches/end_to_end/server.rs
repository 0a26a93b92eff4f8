//! A server of either era, in a process of its own: `echo`, `blob` of 256 KiB, `stream` of ten progress notes, and as many
//! more tools as the path says (`/early/500`, `/modern/16`).

use crate::load::Era;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::{
    borrow::Cow,
    collections::HashMap,
    convert::Infallible,
    sync::{LazyLock, Mutex},
};

/// What is written into the members that 2026-07-28 wants; earlier clients skip them.
const COMPLETE: &str = r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#;

static BLOB: LazyLock<String> = LazyLock::new(|| format!("\"{}\"", "x".repeat(256 << 10)));

/// Lists by their length, written once.
static LISTS: LazyLock<Mutex<HashMap<usize, Bytes>>> = LazyLock::new(Mutex::default);

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Arguments<'a>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    token: Option<&'a RawValue>,
}

/// What is answered.
pub(crate) enum Answer {
    Json(Vec<u8>),
    /// Events.
    Stream(Vec<String>),
    Nothing,
}

/// Serves on a free port, which it prints, until it is killed.
pub(crate) async fn run() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/{era}/{tools}", post(serve).delete(|| async { StatusCode::NO_CONTENT }));
    axum::serve(listener, app).await.expect("a server");
}

async fn serve(Path((era, tools)): Path<(String, usize)>, body: Bytes) -> Response {
    let era = if era == "modern" { Era::Modern } else { Era::Early };
    match answer(era, tools, &body) {
        Answer::Json(message) => ([(header::CONTENT_TYPE, "application/json")], message).into_response(),
        Answer::Stream(events) => streamed(events),
        Answer::Nothing => StatusCode::ACCEPTED.into_response(),
    }
}

/// Each event is a piece of its own, as of a tool that works in steps, and proxies are told not to gather them.
fn streamed(events: Vec<String>) -> Response {
    let events = stream::iter(events).then(|event| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(event)
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Body::from_stream(events)).into_response()
}

pub(crate) fn answer(era: Era, tools: usize, body: &[u8]) -> Answer {
    let request: Request<'_> = serde_json::from_slice(body).expect("a request");
    let Some(id) = request.id else { return Answer::Nothing };
    let (id, params) = (id.get(), request.params.map_or("{}", RawValue::get));
    let result = match (&*request.method, era) {
        ("initialize", Era::Early) => {
            br#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#
                .to_vec()
        }
        ("server/discover", Era::Modern) => {
            format!(r#"{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}},{COMPLETE}}}"#).into()
        }
        ("tools/list", _) => return framed(id, &list(tools)),
        ("ping", _) => b"{}".to_vec(),
        ("tools/call", _) => return called(id, &serde_json::from_str(params).expect("parameters")),
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            return Answer::Json(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into());
        }
    };
    framed(id, &result)
}

fn called(id: &str, called: &Called<'_>) -> Answer {
    let of = |text: &str| format!(r#"{{"content":[{{"type":"text","text":{text}}}],"resultType":"complete"}}"#);
    let token = called.meta.as_ref().and_then(|meta| meta.token).map_or("0", RawValue::get);
    match &*called.name {
        "stream" => {
            let note = |n| {
                let params = format!(r#"{{"progressToken":{token},"progress":{n}}}"#);
                format!(
                    "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}\n\n"
                )
            };
            let done =
                format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{}}}\n\n", of("\"done\""));
            Answer::Stream((1..=10).map(note).chain([done]).collect())
        }
        "blob" => framed(id, of(&BLOB).as_bytes()),
        _ => framed(id, of(called.arguments.text.map_or("\"\"", RawValue::get)).as_bytes()),
    }
}

fn framed(id: &str, result: &[u8]) -> Answer {
    let mut message = Vec::with_capacity(result.len() + id.len() + 40);
    message.extend_from_slice(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#).as_bytes());
    message.extend_from_slice(result);
    message.push(b'}');
    Answer::Json(message)
}

fn list(tools: usize) -> Bytes {
    let mut lists = LISTS.lock().expect("nobody panics");
    let written = lists.entry(tools).or_insert_with(|| {
        let schema =
            json!({"type": "object", "properties": {"text": {"type": "string", "description": "x".repeat(900)}}});
        let names = ["echo", "blob", "stream"].into_iter().map(String::from);
        let names = names.chain((3..tools).map(|n| format!("tool_{n}")));
        let tool = |name| json!({"name": name, "description": "Does what it is called.", "inputSchema": schema});
        let tools: Vec<_> = names.take(tools).map(tool).collect();
        format!(r#"{{"tools":{},{COMPLETE}}}"#, json!(tools)).into()
    });
    written.clone()
}
