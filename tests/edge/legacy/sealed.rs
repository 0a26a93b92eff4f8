//! Session ids that hold their session.

use super::*;
use std::time::Duration;
use tower_mcp_gateway::{auth::Principal, edge::EdgeLayer, seal::Keys};

fn keys() -> Keys {
    Keys::from_secrets(&["a secret of at least thirty-two characters"]).unwrap()
}

fn ping(session: &str) -> Post {
    request(session, json!(1), "ping", json!({}))
}

#[tokio::test]
async fn the_next_request_after_a_restart_needs_no_new_handshake() {
    let (before, mut behind) = edge_with(EdgeLayer::new().keys(keys()));
    let session = open_with(&before, &mut behind, "2025-06-18", json!({"elicitation": {}, "x": 1})).await;
    drop((before, behind));
    let (after, mut behind) = edge_with(EdgeLayer::new().keys(keys()));
    let (call, response) = through(&after, &mut behind, tool_call(&session, json!(1)), result(json!({"a": 1}))).await;
    assert_eq!(value(response).await["result"], json!({"a": 1}));
    let told = call.session.clone().unwrap();
    assert_eq!((told.id(), told.revision().as_str()), (&session[..], "2025-06-18"));
    assert_eq!(told.client_info().as_str(), r#"{"name":"c","version":"1"}"#);
    let can = call.params.meta_member("io.modelcontextprotocol/clientCapabilities").unwrap();
    assert_eq!(serde_json::from_str::<Value>(can.as_str()).unwrap(), json!({"elicitation": {"form": {}}, "x": 1}));
    assert_eq!(ask(&after, ping(&session)).await.status(), 200);
    assert_eq!(after.sessions(), 1);
    let (_, response) = through(
        &after,
        &mut behind,
        get(&session),
        endless(vec![note("notifications/subscriptions/acknowledged", json!({}))]).0,
    )
    .await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn whatever_is_no_session_is_told_the_same() {
    let (edge, mut behind) = edge_with(EdgeLayer::new().keys(keys()));
    let (foreign, mut abroad) = edge_with(EdgeLayer::new());
    let deleted = open(&edge, &mut behind, "2025-11-25").await;
    assert_eq!(ask(&edge, delete(&deleted)).await.status(), 204);
    let good = open(&edge, &mut behind, "2025-11-25").await;
    let altered = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { 'B' } else { 'A' });
    let state = keys().seal(tower_mcp_gateway::seal::Purpose::RequestState, b"x");
    let empty = keys().seal(tower_mcp_gateway::seal::Purpose::Session, b"");
    let foreign = open(&foreign, &mut abroad, "2025-11-25").await;
    let guessed = "a".repeat(32);
    let mut bodies = Vec::new();
    for id in [&deleted, &altered, &state, &empty, &foreign, &guessed, &"a".repeat(5000)] {
        let response = ask(&edge, ping(id)).await;
        assert_eq!(response.status(), 404, "{id}");
        bodies.push(text(response).await);
        assert_eq!(ask(&edge, delete(id)).await.status(), 404);
        assert_eq!(ask(&edge, get(id)).await.status(), 404);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(edge.sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_after_a_day_however_busy_it_is() {
    let (edge, mut behind) = edge();
    let session = open(&edge, &mut behind, "2025-11-25").await;
    for _ in 0..23 {
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(ask(&edge, ping(&session)).await.status(), 200);
    }
    let (reply, dropped) = endless(vec![]);
    let (call, _response) = through(&edge, &mut behind, get(&session), reply).await;
    tokio::time::advance(Duration::from_secs(3601)).await;
    refused(ask(&edge, ping(&session)).await, 404, 404, json!(1)).await;
    dropped.await;
    call.session.clone().unwrap().closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_frees_what_it_held_and_is_opened_again() {
    let (edge, mut behind) = edge_with(EdgeLayer::new().session_idle_timeout(Duration::from_secs(60)));
    let session = open(&edge, &mut behind, "2025-11-25").await;
    let (call, _) = through(&edge, &mut behind, tool_call(&session, json!(1)), result(json!({}))).await;
    tokio::time::advance(Duration::from_secs(120)).await;
    let other = open(&edge, &mut behind, "2025-11-25").await;
    assert_eq!(edge.sessions(), 1);
    call.session.clone().unwrap().closed().await;
    let (call, _) = through(&edge, &mut behind, tool_call(&session, json!(1)), result(json!({}))).await;
    assert!(!call.session.clone().unwrap().is_closed());
    assert_eq!(ask(&edge, ping(&other)).await.status(), 200);
    assert_eq!(edge.sessions(), 2);
}

#[tokio::test]
async fn sessions_that_come_back_find_the_house_full_like_others() {
    let layer = || EdgeLayer::new().keys(keys()).max_sessions(2);
    let (before, mut behind) = edge_with(layer());
    let first = open(&before, &mut behind, "2025-11-25").await;
    let (after, mut behind) = edge_with(layer());
    open(&after, &mut behind, "2025-11-25").await;
    let second = open(&after, &mut behind, "2025-11-25").await;
    let response = ask(&after, ping(&first)).await;
    assert!(header_of(&response, "retry-after").is_some());
    refused(response, 503, 503, json!(1)).await;
    ask(&after, delete(&second)).await;
    assert_eq!(ask(&after, ping(&first)).await.status(), 200);
    refused(ask(&after, ping(&second)).await, 404, 404, json!(1)).await;
}

#[tokio::test]
async fn a_thousand_requests_after_a_restart_open_one_session() {
    let (before, mut behind) = edge_with(EdgeLayer::new().keys(keys()));
    let session = open(&before, &mut behind, "2025-11-25").await;
    let (after, _behind) = edge_with(EdgeLayer::new().keys(keys()));
    let pings: Vec<_> = (0..1000).map(|_| start(&after, ping(&session))).collect();
    for ping in pings {
        assert_eq!(ping.await.unwrap().status(), 200);
    }
    assert_eq!(after.sessions(), 1);
}

#[tokio::test]
async fn of_a_talkative_client_the_id_holds_what_servers_ask_by() {
    let (before, mut behind) = edge_with(EdgeLayer::new().keys(keys()));
    let long = "\"\\\u{1}ü".repeat(100);
    for (can, kept) in [
        (
            json!({"experimental": long, "roots": {}, "sampling": {"tools": {}}}),
            json!({"roots": {}, "sampling": {"tools": {}}}),
        ),
        (
            json!({"elicitation": {"url": {"x": long}}, "sampling": {"context": {}, "y": long}}),
            json!({"elicitation": {"url": {}}, "sampling": {"context": {}}}),
        ),
    ] {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": can, "clientInfo": {"name": long, "version": long}});
        let hello = post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
        let (_, response) = through(&before, &mut behind, hello, discovered()).await;
        let session = header_of(&response, "mcp-session-id").unwrap();
        assert!(session.len() <= 1024 && session.bytes().all(|b| b.is_ascii_graphic()), "{}", session.len());
        let (after, mut behind) = edge_with(EdgeLayer::new().keys(keys()));
        let (call, _) = through(&after, &mut behind, tool_call(session, json!(1)), result(json!({}))).await;
        let told = call.session.clone().unwrap();
        assert_eq!(serde_json::from_str::<Value>(told.capabilities().as_str()).unwrap(), kept);
        assert!(told.client_info().member("name").is_some());
    }
}

/// A gateway that was restarted knows of a session nothing but its id, and that says whose it is, and where.
#[tokio::test]
async fn a_session_of_another_principal_or_mount_is_none_after_a_restart_either() {
    let by = |mut request: Post, name: &str| {
        request.extensions_mut().insert(Principal::new(name));
        request
    };
    let at = |mount: &str| edge_with(EdgeLayer::new().keys(keys()).mount(mount));
    let (before, mut behind) = at("a");
    let opening = by(initialize("2025-11-25", json!({})), "alice");
    let (_, response) = through(&before, &mut behind, opening, discovered()).await;
    let session = header_of(&response, "mcp-session-id").unwrap().to_owned();
    let mut bodies = Vec::new();
    for (edge, request) in [
        (&before, by(ping(&session), "bob")),
        (&before, ping(&session)),
        (&at("a").0, by(ping(&session), "bob")),
        (&at("a").0, ping(&session)),
        (&at("b").0, by(ping(&session), "alice")),
        (&at("").0, by(ping(&session), "alice")),
        (&at("a").0, by(ping(&"a".repeat(99)), "alice")),
    ] {
        let response = ask(edge, request).await;
        assert_eq!(response.status(), 404);
        bodies.push(text(response).await);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(ask(&at("a").0, by(ping(&session), "alice")).await.status(), 200);
    assert_eq!(ask(&before, by(ping(&session), "alice")).await.status(), 200);
}
