//! How many allocations a call costs. The number is a part of what the gateway promises: it may fall, not rise.
#![cfg(all(feature = "http", feature = "legacy"))]

use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};
use tower::ServiceExt;
use tower_mcp_gateway::{Gateway, config::Config};

/// Allocations and reallocations of one `tools/call` of 2026-07-28 to a server of that revision over HTTP, from the
/// request to the last byte of the answer, those of HTTP on the client's side left out.
const PER_CALL: u64 = 15;

/// Measured together, so that what happens once in a while is no accident of one call.
const CALLS: u64 = 200;

/// A server that answers on threads of its own, whose allocations are not counted.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        if length == 0 || reader.read_exact(&mut body).is_err() {
            return;
        }
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let result = match request["method"].as_str().unwrap() {
            "server/discover" => {
                r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
            }
            "tools/list" => {
                r#"{"tools":[{"name":"echo","inputSchema":{"type":"object"}}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
            }
            _ => r#"{"content":[{"type":"text","text":"hello"}],"resultType":"complete"}"#,
        };
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request["id"]);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all((head + &answer).as_bytes()).unwrap();
    }
}

fn request() -> Request<Full<Bytes>> {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"hello"}},{META}}}}}"#
    );
    Request::post("http://localhost/mcp")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "echo")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

async fn call(gateway: &Gateway, request: Request<Full<Bytes>>) {
    let response = gateway.clone().oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(memchr::memmem::find(&body, b"hello").is_some(), "{body:?}");
}

#[test]
fn a_call_allocates_no_more_than_it_did() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = format!(r#"{{ "mcpServers": {{ "one": {{ "url": "http://{}/mcp" }} }} }}"#, server());
    let gateway = runtime.block_on(async {
        let (gateway, driver) = Gateway::from_config(Config::parse(&config, |_| None).unwrap()).unwrap();
        tokio::spawn(driver);
        for _ in 0..CALLS {
            tokio::time::timeout(Duration::from_secs(30), call(&gateway, request())).await.unwrap();
        }
        gateway
    });
    let requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for request in requests {
                call(&gateway, request).await;
            }
        });
    });
    let per_call = counted.count_total.div_ceil(CALLS);
    println!("{per_call} allocations, {} bytes a call", counted.bytes_total / CALLS);
    assert!(per_call <= PER_CALL, "{per_call} allocations a call; {PER_CALL} are promised");
}
