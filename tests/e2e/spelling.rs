//! Ids, arguments and results keep their spelling, through servers over HTTP and over pipes, for clients of both eras.

use crate::{
    front::Front,
    support::clients::Raw,
    wire::{Peer, Request},
};
use std::{net::SocketAddr, path::PathBuf};
use tower_mcp_gateway::registry::Server;

/// What no reader of JSON gives back as it was: numbers beyond a double, their spelling, escapes, order, white space.
const ARGUMENTS: &str = r#"{"z":9007199254740993, "a":1e400,"b":1.0,"B":-0,"c":1E+2,"d":0.10000000000000000000000001,"e":"\u00e9\/\ud83d\ude00 é\u0000","nested":{ "y":[ 18446744073709551617,-1e-7 ],"x":{} }}"#;

/// The same of a result, beside the members that a result must have.
const RESULT: &str = r#"{"resultType":"complete","content":[{"type":"text","text":"\u0041\/"}],"z":1.50e+1,"_meta":{"k":[1e400,-0.0]},"a":9007199254740993,"ttl":0.10 }"#;

/// What is the same in every era's answer.
const REST: &str = r#""content":[{"type":"text","text":"\u0041\/"}],"z":1.50e+1,"_meta":{"k":[1e400,-0.0]},"a":9007199254740993,"ttl":0.10"#;

const IDS: [&str; 10] = [
    "0",
    "-7",
    "9007199254740993",
    "18446744073709551617",
    "\"\"",
    "\"7\"",
    r#""a\u0041\/\"""#,
    r#""\u0000""#,
    "\"é\"",
    r#""\ud83d\ude00""#,
];

const TOOLS: &str = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"odd","inputSchema":{"type":"object"}}]}"#;

const DISCOVERED: &str = r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"odd","version":"1"}}}"#;

fn result(message: &str) -> &'static str {
    match message {
        message if message.contains("\"server/discover\"") => DISCOVERED,
        message if message.contains("\"tools/list\"") => TOOLS,
        _ => RESULT,
    }
}

/// A server over HTTP that hands over what it is called with.
fn over_http(mut peer: Peer) -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (told, calls) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let request: Request = peer.next().await;
            if request.body.contains("\"tools/call\"") {
                told.send(request.body.clone()).unwrap();
            }
            // By text: no reader of JSON takes these numbers.
            let id = request.body.split("\"id\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{}}}", result(&request.body));
            request.json_response(&answer).await;
        }
    });
    calls
}

/// A server over pipes that writes down what it is called with.
fn over_pipes(ledger: &PathBuf) -> Server {
    let _ = std::fs::remove_file(ledger);
    let script = r#"while IFS= read -r line; do
        id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
        case "$line" in
            *'"server/discover"'*) said=$DISCOVERED ;;
            *'"tools/list"'*) said=$TOOLS ;;
            *) printf '%s\n' "$line" >>"$LEDGER"; said=$RESULT ;;
        esac
        printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$said"
    done"#;
    let server = Server::stdio("odd", "odd", "sh").arg("-c").arg(script).env("LEDGER", ledger.display().to_string());
    server.env("DISCOVERED", DISCOVERED).env("TOOLS", TOOLS).env("RESULT", RESULT)
}

/// Calls with every id, as a client of the era that these headers and this `_meta` make; gives what was called last.
async fn calls(address: SocketAddr, headers: &[(&str, &str)], meta: &str, mut called: impl AsyncFnMut() -> String) {
    let mut all = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    all.extend_from_slice(headers);
    for id in IDS {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"odd","arguments":{ARGUMENTS}{meta}}}}}"#
        );
        let answer = Raw::request(address, "POST /mcp", &all, body.as_bytes()).await.collect().await;
        let answer = String::from_utf8(answer.body).unwrap();
        assert!(answer.contains(&format!("\"id\":{id},")), "{id}: {answer}");
        assert!(answer.contains(REST), "{id}: {answer}");
        let called = called().await;
        assert!(called.contains(&format!("\"arguments\":{ARGUMENTS}")), "{id}: {called}");
    }
}

async fn both_eras(server: Server, mut called: impl AsyncFnMut() -> String) {
    let front = Front::of(vec![server]).await;
    let version = ("mcp-protocol-version", "2026-07-28");
    let meta = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let headers = [version, ("mcp-method", "tools/call"), ("mcp-name", "odd")];
    calls(front.address(), &headers, meta, &mut called).await;

    let initialize = serde_json::json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } },
    });
    let opened = Raw::post(front.address(), "/mcp", &[], &initialize).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    calls(front.address(), &headers, "", called).await;
}

#[tokio::test]
async fn ids_arguments_and_results_keep_their_spelling_over_http() {
    let peer = Peer::start().await;
    let server = Server::http("odd", "odd", &peer.url("/mcp")).unwrap();
    let mut seen = over_http(peer);
    both_eras(server, async || seen.recv().await.unwrap()).await;
}

#[tokio::test]
async fn ids_arguments_and_results_keep_their_spelling_over_pipes() {
    let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("spelling");
    let server = over_pipes(&ledger);
    let last = || std::fs::read_to_string(&ledger).unwrap().lines().last().unwrap().to_owned();
    both_eras(server, async || last()).await;
}

/// Headers of a client are none of a server's business, but for those that repeat arguments.
#[tokio::test]
async fn headers_are_made_anew_and_never_copied() {
    let mut peer = Peer::start().await;
    let front = Front::of(vec![Server::http("odd", "odd", &peer.url("/mcp")).unwrap()]).await;
    let answering = async {
        loop {
            let request = peer.next().await;
            if request.body.contains("\"tools/call\"") {
                let head = request.head.clone();
                request.result(RESULT).await;
                return head.to_ascii_lowercase();
            }
            let said = result(&request.body);
            request.result(said).await;
        }
    };
    let kept = [
        ("authorization", "Bearer client"),
        ("proxy-authorization", "Basic client"),
        ("cookie", "a=client"),
        ("x-forwarded-for", "client"),
        ("forwarded", "for=client"),
        ("x-api-key", "client"),
        ("origin", "http://localhost"),
        ("referer", "http://client"),
        ("last-event-id", "client"),
        ("mcp-session-id", "client"),
        ("user-agent", "client"),
        ("proxy-connection", "client"),
        ("te", "trailers"),
        ("mcp-name", "=?base64?b2Rk?="),
        ("mcp-method", "tools/call"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-param-region", "eu"),
    ];
    let meta = serde_json::json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let call = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "odd", "arguments": {}, "_meta": meta },
    });
    let called = async {
        // Once the tool is known.
        let list =
            serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
        Raw::post(front.address(), "/mcp", &headers, &list).await.collect().await;
        Raw::post(front.address(), "/mcp", &kept, &call).await.collect().await
    };
    let (head, answer) = tokio::join!(answering, called);
    assert_eq!(answer.status, 200);
    assert!(!head.contains("client"), "{head}");
    for gone in ["cookie", "authorization", "origin", "referer", "last-event-id", "mcp-session-id", "\r\nte:"] {
        assert!(!head.contains(gone), "{gone}: {head}");
    }
    for made in ["mcp-name: odd", "mcp-method: tools/call", "mcp-protocol-version: 2026-07-28", "mcp-param-region: eu"]
    {
        assert!(head.contains(made), "{made}: {head}");
    }
}
