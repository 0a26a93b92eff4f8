//! What is refused before a call is made, and in which order.

use super::support::*;
use http::Method;
use serde_json::{Value, json};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

fn call() -> Post {
    modern(json!("a"), "tools/call", json!({"name": "search"}))
}

/// A call whose `_meta` is this.
fn with_meta(meta: Value) -> Post {
    let body =
        json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "search", "_meta": meta}});
    let request = post(body).with("mcp-protocol-version", "2026-07-28");
    request.with("mcp-method", "tools/call").with("mcp-name", "search")
}

async fn refuses(request: Post, status: u16, code: i64, id: Value) -> Value {
    let (edge, _behind) = edge();
    refused(ask(&edge, request).await, status, code, id).await
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_parse_error() {
    for body in ["", "nonsense", "{\"jsonrpc\":\"2.0\"", "\u{feff}{}"] {
        refuses(raw(body).with("mcp-protocol-version", "2026-07-28"), 400, -32700, Value::Null).await;
        refuses(raw(body), 400, -32700, Value::Null).await;
    }
    refuses(raw(vec![b'"', 0xff, b'"']), 400, -32700, Value::Null).await;
    refuses(raw("[".repeat(100_000)), 400, -32700, Value::Null).await;
}

#[tokio::test]
async fn json_that_is_no_message_is_an_invalid_request_with_its_id() {
    refuses(raw(r#"{"jsonrpc":"2.0","id":5,"method":7}"#), 400, -32600, json!(5)).await;
    refuses(raw(r#"{"id":5,"method":"tools/list"}"#), 400, -32600, json!(5)).await;
    refuses(raw(r#"{"jsonrpc":"2.0","id":5,"method":"a","params":{"name":1,"name":2}}"#), 400, -32600, json!(5)).await;
    refuses(raw("[]"), 400, -32600, Value::Null).await;
}

#[tokio::test]
async fn a_modern_client_sends_neither_batches_nor_answers() {
    let one = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {VERSION: "2026-07-28"}}});
    refuses(post(json!([one])), 400, -32600, Value::Null).await;
    let answer = post(json!({"jsonrpc": "2.0", "id": 1, "result": {}})).with("mcp-protocol-version", "2026-07-28");
    refuses(answer, 400, -32600, Value::Null).await;
    let call = post(json!({"jsonrpc": "2.0", "method": "tools/call"})).with("mcp-protocol-version", "2026-07-28");
    refuses(call, 400, -32600, Value::Null).await;
}

#[tokio::test]
async fn version_header_and_body_must_agree() {
    refuses(call().without("mcp-protocol-version"), 400, -32020, json!("a")).await;
    refuses(with_meta(json!({})), 400, -32602, json!("a")).await;
    refuses(with_meta(json!({VERSION: 7, CAPABILITIES: {}})), 400, -32602, json!("a")).await;
    refuses(with_meta(json!("none")), 400, -32602, json!("a")).await;
    refuses(call().with("mcp-protocol-version", "2025-11-25"), 400, -32020, json!("a")).await;
    refuses(call().with("mcp-protocol-version", "2027-01-01"), 400, -32020, json!("a")).await;
    refuses(call().also("mcp-protocol-version", "2026-07-28"), 400, -32020, json!("a")).await;
}

#[tokio::test]
async fn an_unsupported_version_is_told_what_is_supported() {
    let meta = json!({VERSION: "2027-01-01", CAPABILITIES: {}});
    let body = refuses(with_meta(meta).with("mcp-protocol-version", "2027-01-01"), 400, -32022, json!("a")).await;
    assert_eq!(body["error"]["data"], json!({"supported": ["2026-07-28"], "requested": "2027-01-01"}));
}

#[tokio::test]
async fn the_first_check_that_fails_is_reported() {
    let wrong = |request: Post| request.with("mcp-method", "other").with("mcp-name", "other");
    refuses(wrong(call().without("mcp-protocol-version")), 400, -32020, json!("a")).await;
    refuses(wrong(with_meta(json!({}))), 400, -32602, json!("a")).await;
    let unsupported = json!({VERSION: "2099-01-01"});
    refuses(wrong(with_meta(unsupported)).with("mcp-protocol-version", "2099-01-01"), 400, -32022, json!("a")).await;
    refuses(wrong(with_meta(json!({VERSION: "2026-07-28"}))), 400, -32020, json!("a")).await;
    let ping =
        post(json!({"jsonrpc": "2.0", "id": "a", "method": "ping", "params": {"_meta": {VERSION: "2026-07-28"}}}));
    let ping = ping.with("mcp-protocol-version", "2026-07-28").with("mcp-method", "ping");
    refuses(ping, 400, -32602, json!("a")).await;
}

#[tokio::test]
async fn mirrored_headers_must_be_there_once_and_match() {
    refuses(call().without("mcp-method"), 400, -32020, json!("a")).await;
    refuses(call().with("mcp-method", "Tools/Call"), 400, -32020, json!("a")).await;
    refuses(call().also("mcp-method", "tools/call"), 400, -32020, json!("a")).await;
    refuses(call().without("mcp-name"), 400, -32020, json!("a")).await;
    refuses(call().with("mcp-name", "SEARCH"), 400, -32020, json!("a")).await;
    refuses(call().with("mcp-name", "sÃ¶"), 400, -32020, json!("a")).await;
    refuses(call().also("mcp-name", "search"), 400, -32020, json!("a")).await;
    refuses(call().with("mcp-name", "=?base64?!!?="), 400, -32020, json!("a")).await;
    let read = modern(json!("a"), "resources/read", json!({"uri": "file:///a"})).with("mcp-name", "file:///b");
    refuses(read, 400, -32020, json!("a")).await;
    let nameless = modern(json!("a"), "tools/call", json!({"name": 7})).with("mcp-name", "7");
    refuses(nameless, 400, -32602, json!("a")).await;
}

#[tokio::test]
async fn header_values_are_trimmed_and_decoded_before_they_are_compared() {
    let (edge, mut behind) = edge();
    let spaced = call().with("mcp-method", " tools/call\t").with("MCP-NAME", "  search ");
    let encoded = call().with("mcp-name", "=?base64?c2VhcmNo?=");
    let other = modern(json!(1), "tools/call", json!({"name": "sö"})).with("mcp-name", "=?base64?c8O2?=");
    for request in [spaced, encoded, other] {
        let (_, response) = through(&edge, &mut behind, request, result(json!({}))).await;
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn capabilities_must_be_declared_but_the_client_need_not_give_its_name() {
    refuses(with_meta(json!({VERSION: "2026-07-28"})), 400, -32602, json!("a")).await;
    refuses(with_meta(json!({VERSION: "2026-07-28", CAPABILITIES: []})), 400, -32602, json!("a")).await;
    let (edge, mut behind) = edge();
    let request = with_meta(json!({VERSION: "2026-07-28", CAPABILITIES: {}}));
    assert_eq!(through(&edge, &mut behind, request, result(json!({}))).await.1.status(), 200);
}

#[tokio::test]
async fn requests_of_earlier_revisions_are_unknown_in_this_one() {
    for method in
        ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "notifications/x"]
    {
        refuses(modern(json!(9), method, json!({})), 404, -32601, json!(9)).await;
    }
}

#[tokio::test]
async fn bodies_must_be_json_and_answers_acceptable() {
    refuses(call().with("content-type", "text/plain"), 415, 415, Value::Null).await;
    refuses(call().without("content-type"), 415, 415, Value::Null).await;
    refuses(call().with("accept", "text/html"), 406, 406, Value::Null).await;
    let (edge, mut behind) = edge();
    for accept in ["application/json", "text/event-stream", "*/*", "text/html, application/json;q=0.5", "application/*"]
    {
        let request = call().with("accept", accept).with("content-type", "Application/JSON; charset=utf-8");
        assert_eq!(through(&edge, &mut behind, request, result(json!({}))).await.1.status(), 200);
    }
    let silent = call().without("accept");
    assert_eq!(through(&edge, &mut behind, silent, result(json!({}))).await.1.status(), 200);
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_would_do() {
    let (edge, _behind) = edge();
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS, Method::HEAD] {
        let response = ask(&edge, bare(method.clone(), "/mcp")).await;
        let allowed = header_of(&response, "allow").unwrap().to_owned();
        assert!(allowed.contains("POST") && !allowed.contains(method.as_str()), "{method}: {allowed}");
        refused(response, 405, 405, Value::Null).await;
    }
}

#[tokio::test]
async fn a_refusal_harms_no_later_request() {
    let (edge, mut behind) = edge();
    for _ in 0..100 {
        ask(&edge, call().without("mcp-method")).await;
        ask(&edge, raw("[[[")).await;
    }
    let (_, response) = through(&edge, &mut behind, call(), result(json!({}))).await;
    assert_eq!(response.status(), 200);
}
