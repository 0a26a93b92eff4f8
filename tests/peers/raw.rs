//! Exact bytes against the servers of our own: what they refuse, and how their events look.

use serde_json::{Value, json};

use crate::support::{
    clients::{Raw, modern},
    peer::{EXACT, Peer},
    servers::{Kind, Running},
};

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn call(id: Value, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": "p" } });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

fn initialize() -> Value {
    let info = json!({ "name": "raw", "version": "1.0.0" });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

#[tokio::test]
async fn the_old_transport_answers_on_its_stream() {
    let server = Running::named(Kind::Sse, "one").await;
    let mut stream = Raw::get(server.address(), "/sse", &[]).await;
    let (kind, endpoint) = stream.event().await.expect("an endpoint");
    assert_eq!(kind, "endpoint");
    assert!(endpoint.starts_with("/messages?sessionId="), "{endpoint}");

    let posted = Raw::post(server.address(), &endpoint, &[], &initialize()).await;
    assert_eq!(posted.status, 202);
    assert_eq!(stream.message().await.expect("an answer")["result"]["protocolVersion"], "2025-06-18");

    Raw::post(server.address(), &endpoint, &[], &call(json!("s"), "slow", json!({ "steps": 2 }))).await;
    assert_eq!(stream.message().await.expect("progress")["params"]["progress"], 1);
    assert_eq!(stream.message().await.expect("progress")["params"]["progressToken"], "p");
    assert_eq!(stream.message().await.expect("an answer")["id"], "s");

    server.peer.add_tool("later");
    assert_eq!(stream.message().await.expect("news")["method"], "notifications/tools/list_changed");
    let lost = Raw::post(server.address(), "/messages?sessionId=none", &[], &initialize()).await;
    assert_eq!(lost.status, 404);

    Raw::post(server.address(), &endpoint, &[], &call(json!(9), "hang", json!({}))).await;
    server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
    drop(stream);
    server.peer.ledger.until(|counts| counts.abandoned == 1).await;
}

#[tokio::test]
async fn the_initialize_era_keeps_sessions_apart() {
    let server = Running::named(Kind::Legacy, "one").await;
    let at = server.address();
    let opened = Raw::post(at, "/mcp", &[], &initialize()).await;
    let id = opened.headers["mcp-session-id"].to_str().expect("an id").to_owned();
    let session = [("mcp-session-id", id.as_str())];

    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(Raw::post(at, "/mcp", &[], &ping).await.status, 400);
    assert_eq!(Raw::post(at, "/mcp", &[("mcp-session-id", "other")], &ping).await.status, 404);
    assert_eq!(Raw::post(at, "/mcp", &session, &ping).await.collect().await.json()["result"], json!({}));

    let slow = Raw::post(at, "/mcp", &session, &call(json!(2), "slow", json!({ "steps": 2 }))).await.collect().await;
    let methods: Vec<_> = slow.messages().iter().map(|message| message["method"].clone()).collect();
    assert_eq!(methods, [json!("notifications/progress"), json!("notifications/progress"), Value::Null]);

    let ended = Raw::request(at, "DELETE /mcp", &session, b"").await;
    assert_eq!(ended.status, 204);
    assert_eq!(Raw::post(at, "/mcp", &session, &ping).await.status, 404);
}

#[tokio::test]
async fn the_modern_server_checks_each_header() {
    let server = Running::named(Kind::Modern, "one").await;
    let at = server.address();
    let (headers, message) = modern(json!("x"), "tools/call", json!({ "name": "who", "arguments": {} }));
    let said = Raw::post(at, "/mcp", &borrowed(&headers), &message).await.collect().await;
    assert_eq!((said.status.as_u16(), &said.json()["id"]), (200, &json!("x")));
    assert_eq!(said.json()["result"]["resultType"], "complete");

    for left_out in 0..headers.len() {
        let mut fewer = headers.clone();
        let (name, _) = fewer.remove(left_out);
        let refused = Raw::post(at, "/mcp", &borrowed(&fewer), &message).await.collect().await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (400, &json!(-32020)), "{name}");
        let mut other = headers.clone();
        other[left_out].1 = "different".into();
        let refused = Raw::post(at, "/mcp", &borrowed(&other), &message).await.collect().await;
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (400, &json!(-32020)), "{name}");
    }
    let refused = Raw::post(at, "/mcp", &[], &initialize()).await.collect().await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (400, &json!(-32022)));
    let (headers, ping) = modern(json!(1), "ping", json!({}));
    let refused = Raw::post(at, "/mcp", &borrowed(&headers), &ping).await.collect().await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (404, &json!(-32601)));
    assert_eq!(Raw::get(at, "/mcp", &[]).await.status, 405);
}

#[tokio::test]
async fn the_modern_server_tells_of_changes_under_the_listeners_id() {
    let server = Running::named(Kind::Modern, "one").await;
    let wanted = json!({ "notifications": { "toolsListChanged": true, "promptsListChanged": true } });
    let (headers, listen) = modern(json!("l-1"), "subscriptions/listen", wanted);
    let mut stream = Raw::post(server.address(), "/mcp", &borrowed(&headers), &listen).await;
    let first = stream.message().await.expect("an acknowledgement");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }));
    server.peer.add_tool("later");
    let note = stream.message().await.expect("news");
    assert_eq!(note["method"], "notifications/tools/list_changed");
    assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l-1");
}

#[tokio::test]
async fn an_exact_tool_keeps_its_spelling() {
    for kind in [Kind::Legacy, Kind::LegacySessionless, Kind::Modern] {
        let peer = Peer::with_page("one", 100);
        peer.add_exact_tool("exact");
        let server = Running::start(kind, peer).await;
        let opened = Raw::post(server.address(), "/mcp", &[], &initialize()).await;
        let (mut headers, message) = modern(json!(1), "tools/list", json!({}));
        if kind != Kind::Modern {
            headers.clear();
        }
        let session = opened.headers.get("mcp-session-id").map(|id| id.to_str().expect("an id").to_owned());
        headers.extend(session.map(|id| ("mcp-session-id", id)));
        let listed = Raw::post(server.address(), "/mcp", &borrowed(&headers), &message).await.collect().await;
        let body = String::from_utf8(listed.body).expect("UTF-8");
        assert!(body.contains(EXACT), "{kind:?}: {body}");
    }
}

#[tokio::test]
async fn the_ledger_keeps_headers_and_bodies() {
    let server = Running::named(Kind::Modern, "one").await;
    let (mut headers, message) = modern(json!(1), "tools/call", json!({ "name": "who" }));
    headers.push(("x-mine", "yes".into()));
    Raw::post(server.address(), "/mcp", &borrowed(&headers), &message).await;
    let posts = server.peer.ledger.posts();
    assert_eq!((&posts[0].0["x-mine"], &posts[0].1), (&"yes".parse().expect("a value"), &message));
}
