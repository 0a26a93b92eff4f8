//! What a call costs beside input and output, in pieces: shared by the clock (`micro`) and the counter of instructions
//! (`instructions`).

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use std::{hint::black_box, time::Duration};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};
use tower_mcp_gateway::{
    BoxError, Call, Gateway, Method, Reply,
    json::{Id, Json, Message, Params, object::Edit, write},
    limit::LimitLayer,
    meta,
    origin::OriginLayer,
    registry::{Registry, Server},
    reply::{self, Note, Outcome},
    seal::{Keys, Purpose},
    sse::{Decoder, Event, encode},
};

/// The operations, by the names they are measured under.
pub(crate) const ALL: [&str; 9] =
    ["parse", "splice", "write", "encode", "decode", "seal", "call", "call-of-10000-tools", "call-with-10-notes"];

/// The largest event that is decoded, in bytes.
const LIMIT: usize = 1 << 20;

/// One operation, made ready, to be run as often as one likes.
///
/// # Panics
///
/// If there is none of that name.
pub(crate) fn of(name: &str) -> Box<dyn FnMut()> {
    match name {
        "parse" => parse(),
        "splice" => splice(),
        "write" => written(),
        "encode" => encoded(),
        "decode" => decoded(),
        "seal" => sealed(),
        "call" => call(1, 1, 0),
        "call-of-10000-tools" => call(200, 50, 0),
        "call-with-10-notes" => call(1, 1, 10),
        other => panic!("no operation is named {other}; there are {}", ALL.join(", ")),
    }
}

fn body() -> Bytes {
    let text = "x".repeat(200);
    let meta = format!(r#""{}":"2026-07-28","{}":{{}}"#, meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES);
    let params = format!(r#"{{"name":"tool-0","arguments":{{"text":"{text}"}},"_meta":{{{meta}}}}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#).into()
}

fn params() -> Params {
    match Message::parse(body()) {
        Ok(Message::Request { params, .. }) => params,
        other => panic!("not a request: {other:?}"),
    }
}

/// A request of 200 bytes of arguments, from its bytes to its parts.
fn parse() -> Box<dyn FnMut()> {
    let body = body();
    Box::new(move || drop(black_box(Message::parse(black_box(body.clone())))))
}

/// Another name, and a member of `_meta` that was not there.
fn splice() -> Box<dyn FnMut()> {
    let params = params();
    let token = [Edit::Set(meta::PROGRESS_TOKEN, b"7")];
    Box::new(move || drop(black_box(black_box(&params).with_name("another").edit_meta(&token))))
}

/// The request that goes to the server.
fn written() -> Box<dyn FnMut()> {
    let params = params();
    Box::new(move || drop(black_box(write::request(&Id::from(7), &Method::TOOLS_CALL, params.as_bytes()))))
}

fn encoded() -> Box<dyn FnMut()> {
    let event = Event::new(body());
    Box::new(move || drop(black_box(encode(black_box(&event)))))
}

fn decoded() -> Box<dyn FnMut()> {
    let bytes = encode(&Event::new(body()));
    Box::new(move || {
        let event = Decoder::new(LIMIT).decode(&mut black_box(bytes.clone()));
        assert!(matches!(black_box(event), Ok(Some(_))));
    })
}

/// The id of a session: what it is about, and what a client told of itself.
fn sealed() -> Box<dyn FnMut()> {
    let keys = Keys::generate().expect("randomness");
    Box::new(move || drop(black_box(keys.seal(Purpose::Session, black_box(&[7; 130])))))
}

/// A call through every layer of the gateway: from an HTTP request to the last byte of its answer, with a server in
/// memory that answers at once.
fn call(servers: usize, tools: usize, notes: u32) -> Box<dyn FnMut()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let gateway = runtime.block_on(gateway(servers, tools, notes));
    Box::new(move || answered(&runtime, &gateway))
}

fn answered(runtime: &Runtime, gateway: &Gateway) {
    let request = Request::post("http://localhost/mcp")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "tool-0")
        .body(Full::new(body()))
        .expect("a request");
    let answer = runtime.block_on(async {
        let response = gateway.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        response.into_body().collect().await.expect("a whole answer").to_bytes()
    });
    assert!(answer.trim_ascii_end().ends_with(b"]}}"), "{answer:?}");
}

/// A reply of so many notes, all there at once, and the outcome.
fn reply(notes: u32, outcome: Outcome) -> Reply {
    if notes == 0 {
        return Reply::single(outcome);
    }
    let note = |n| {
        let params = Json::parse(format!(r#"{{"progressToken":1,"progress":{n}}}"#)).and_then(Params::parse);
        Ok(reply::Event::from(Note::new(Method::PROGRESS, params.expect("an object"))))
    };
    Reply::stream(stream::iter((1..=notes).map(note)).chain(stream::iter([Ok(reply::Event::Done(outcome))])))
}

/// A gateway of so many servers with so many tools each, all of different names, whose calls are answered with so many
/// notes before the result.
async fn gateway(servers: usize, tools: usize, notes: u32) -> Gateway {
    let tool = |n| format!(r#"{{"name":"tool-{n}","inputSchema":{{"type":"object"}}}}"#);
    let list = move |server: usize| {
        let tools: Vec<_> = (server * tools..(server + 1) * tools).map(tool).collect();
        Json::parse(format!(r#"{{"tools":[{}]}}"#, tools.join(","))).expect("a list")
    };
    let answer = move |list: Json| {
        move |call: Call| {
            let list = list.clone();
            async move {
                let (notes, result) = match call.method.as_str() {
                    "server/discover" => {
                        (0, Json::from_static(r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#))
                    }
                    "tools/list" => (0, list),
                    _ => (
                        notes,
                        Json::from_static(r#"{"resultType":"complete","content":[{"type":"text","text":"hello"}]}"#),
                    ),
                };
                Ok::<_, BoxError>(reply(notes, Outcome::Result(result)))
            }
        }
    };
    let of = move |server: &Server| list(server.name().as_str()[1..].parse().expect("a number"));
    let builder = Registry::builder().connect(move |server: &Server| service_fn(answer(of(server))));
    let builder = builder.endpoint(|_: &Server, connection| LimitLayer::new(100).layer(connection));
    let servers = (0..servers).map(|n| Server::stdio(format!("s{n}"), format!("s{n}"), "in-memory"));
    let (registry, driver) = builder.build_with(servers.collect::<Vec<_>>()).expect("a registry");
    tokio::spawn(driver);
    registry.tables().settled().await;
    Gateway::new(registry, OriginLayer::any(), Duration::from_secs(30))
}
