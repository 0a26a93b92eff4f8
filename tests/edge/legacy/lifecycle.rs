//! Opening, using and ending sessions.

use super::*;
use std::time::Duration;
use tower_mcp_gateway::{BoxError, edge::EdgeLayer, error::Problem};

#[tokio::test]
async fn initialize_is_answered_from_what_the_gateway_discovers() {
    let (edge, mut behind) = edge();
    let request = initialize("2025-06-18", json!({"elicitation": {}, "tasks": {}, "roots": {"listChanged": true}}));
    let (call, response) = through(&edge, &mut behind, request, discovered()).await;
    assert_eq!(call.method.as_str(), "server/discover");
    let meta: Value = serde_json::from_str(call.params.meta().unwrap().as_str()).unwrap();
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"], json!({"name": "c", "version": "1"}));
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"elicitation": {"form": {}}, "roots": {}}));
    let session = header_of(&response, "mcp-session-id").unwrap().to_owned();
    assert!(session.len() >= 32 && session.bytes().all(|b| (0x21..=0x7e).contains(&b)));
    assert_eq!(call.session.clone().unwrap().id(), session);
    let expected = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {"listChanged": true}},
        "serverInfo": {"name": "g", "version": "2"},
        "instructions": "be kind",
    });
    assert_eq!(value(response).await, json!({"jsonrpc": "2.0", "id": 0, "result": expected}));
}

#[tokio::test]
async fn no_handshake_leads_to_the_later_revision() {
    let (edge, mut behind) = edge();
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2024-10-07", "2025-11-25"),
        ("", "2025-11-25"),
    ] {
        let (_, response) = through(&edge, &mut behind, initialize(asked, json!({})), discovered()).await;
        assert_eq!(value(response).await["result"]["protocolVersion"], agreed, "{asked}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_opens_no_session() {
    let (edge, mut behind) = edge();
    let answer = start(&edge, initialize("2025-11-25", json!({})));
    next(&mut behind).await.1.send_error(BoxError::from(Problem::new(503, "full", "later")));
    let response = answer.await.unwrap();
    assert_eq!(header_of(&response, "mcp-session-id"), None);
    refused(response, 200, 503, json!(0)).await;
    let versionless = post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}));
    refused(ask(&edge, versionless).await, 200, -32602, json!(0)).await;
    let talkative = initialize("2025-11-25", json!({"experimental": "x".repeat(9000)}));
    refused(ask(&edge, talkative).await, 200, -32602, json!(0)).await;
    assert_eq!(edge.sessions(), 0);
}

#[tokio::test]
async fn later_requests_need_the_session() {
    let (edge, mut behind) = edge();
    let list = post(json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"}));
    refused(ask(&edge, list.clone()).await, 400, -32600, json!("a")).await;
    refused(ask(&edge, list.clone().with("mcp-session-id", "guessed")).await, 404, 404, json!("a")).await;
    refused(ask(&edge, get("guessed")).await, 404, 404, Value::Null).await;
    refused(ask(&edge, delete("guessed")).await, 404, 404, Value::Null).await;
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let twice = list.with("mcp-session-id", &session).also("mcp-session-id", "other");
    refused(ask(&edge, twice).await, 400, -32600, json!("a")).await;
}

#[tokio::test]
async fn the_version_header_must_name_a_revision_of_this_era() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-06-18").await;
    let ping = || request(&session, json!(1), "ping", json!({}));
    for good in ["2025-06-18", "2025-11-25", "2025-03-26"] {
        assert_eq!(ask(&edge, ping().with("mcp-protocol-version", good)).await.status(), 200);
    }
    assert_eq!(ask(&edge, ping()).await.status(), 200);
    for bad in ["1999-01-01", "nonsense", ""] {
        refused(ask(&edge, ping().with("mcp-protocol-version", bad)).await, 400, -32600, json!(1)).await;
    }
    refused(ask(&edge, ping().with("mcp-protocol-version", "2026-07-28")).await, 400, -32602, json!(1)).await;
}

#[tokio::test]
async fn a_deleted_session_is_gone_with_all_that_ran_in_it() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, dropped) = endless(vec![progress(1)]);
    let (call, response) =
        through(&edge, &mut behind, request(&session, json!(1), "tools/call", json!({"name": "n"})), reply).await;
    assert_eq!(ask(&edge, delete(&session)).await.status(), 204);
    let mut body = Reading::of(response);
    while frame(&mut body).await.is_some() {}
    dropped.await;
    call.session.clone().unwrap().closed().await;
    refused(ask(&edge, request(&session, json!(2), "ping", json!({}))).await, 404, 404, json!(2)).await;
    refused(ask(&edge, delete(&session)).await, 404, 404, Value::Null).await;
    assert_eq!(edge.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_leaves_the_memory_and_a_used_one_does_not() {
    let (edge, mut behind) = edge_with(EdgeLayer::new().session_idle_timeout(Duration::from_secs(60)));
    let used = open(&edge, &mut behind, "2025-11-25").await;
    let idle = open(&edge, &mut behind, "2025-11-25").await;
    let busy = open(&edge, &mut behind, "2025-11-25").await;
    let call = start(&edge, request(&busy, json!(1), "tools/call", json!({"name": "n"})));
    let (_call, respond) = next(&mut behind).await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(ask(&edge, request(&used, json!(1), "ping", json!({}))).await.status(), 200);
    }
    assert_eq!(edge.sessions(), 2);
    assert_eq!(ask(&edge, request(&idle, json!(1), "ping", json!({}))).await.status(), 200);
    assert_eq!(edge.sessions(), 3);
    respond.send_response(result(json!({})).into());
    assert_eq!(call.await.unwrap().status(), 200);
    assert_eq!(ask(&edge, request(&busy, json!(2), "ping", json!({}))).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_full_house_turns_clients_away_until_a_session_ends_or_expires() {
    let layer = EdgeLayer::new().max_sessions(2).session_idle_timeout(Duration::from_secs(60));
    let (edge, mut behind) = edge_with(layer);
    let first = open(&edge, &mut behind, "2025-11-25").await;
    open(&edge, &mut behind, "2025-11-25").await;
    let response = ask(&edge, initialize("2025-11-25", json!({}))).await;
    assert!(header_of(&response, "retry-after").is_some());
    refused(response, 503, 503, json!(0)).await;
    ask(&edge, delete(&first)).await;
    open(&edge, &mut behind, "2025-11-25").await;
    refused(ask(&edge, initialize("2025-11-25", json!({}))).await, 503, 503, json!(0)).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    open(&edge, &mut behind, "2025-11-25").await;
    assert_eq!(edge.sessions(), 1);
}

#[tokio::test]
async fn sessions_are_closed_with_the_gateway() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (reply, dropped) = endless(vec![progress(1)]);
    let call = request(&session, json!(1), "tools/call", json!({"name": "n"}));
    let (_, response) = through(&edge, &mut behind, call, reply).await;
    edge.close_sessions();
    text(response).await;
    dropped.await;
    assert_eq!(edge.sessions(), 0);
}
