//! What passes through as it is: schemas to the byte, fields nobody knows, configured headers.

use serde_json::{Value, json};

use crate::{
    front::{Front, entry},
    support::{
        clients::{Raw, modern},
        peer::{EXACT, Peer},
        servers::{Kind, Running},
    },
};

async fn listed(front: &Front) -> String {
    let (headers, message) = modern(json!(1), "tools/list", json!({}));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = Raw::post(front.address(), "/mcp", &headers, &message).await.collect().await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).expect("UTF-8")
}

#[tokio::test]
async fn a_schema_keeps_its_spelling() {
    for kind in [Kind::Legacy, Kind::LegacySessionless, Kind::Modern] {
        let peer = Peer::new("one");
        peer.add_exact_tool("exact");
        let server = Running::start(kind, peer).await;
        let body = listed(&Front::of_one(&server).await).await;
        assert!(body.contains(EXACT), "{kind:?}: {body}");
    }
}

#[tokio::test]
async fn a_tool_keeps_fields_that_nobody_knows() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::Modern] {
        let server = Running::named(kind, "one").await;
        let body: Value = serde_json::from_str(&listed(&Front::of_one(&server).await).await).expect("JSON");
        let tools = body["result"]["tools"].as_array().expect("tools");
        assert_eq!(tools, &server.peer.tools(), "{kind:?}");
    }
}

#[tokio::test]
async fn configured_headers_go_with_every_request() {
    for kind in [Kind::Legacy, Kind::Modern] {
        let server = Running::named(kind, "one").await;
        let entry = entry("one-1", "one", &server).header("x-team", "blue").expect("a header");
        let front = Front::of(vec![entry]).await;
        let (headers, call) = modern(json!(1), "tools/call", json!({ "name": "who" }));
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // What is the client's own stays with the gateway.
        headers.extend([("authorization", "Bearer client"), ("cookie", "a=b"), ("x-other", "client")]);
        let said = Raw::post(front.address(), "/mcp", &headers, &call).await;
        assert_eq!(said.status, 200);
        // A health check after the call, so that both are in the books.
        let checks = |ledger: &crate::support::ledger::Counts| {
            ledger.methods.get("ping").or(ledger.methods.get("server/discover")).is_some()
        };
        server.peer.ledger.until(checks).await;
        for (headers, body) in server.peer.ledger.posts() {
            assert_eq!(headers.get("x-team").map(|team| team.as_bytes()), Some(&b"blue"[..]), "{body}");
            for kept in ["authorization", "cookie", "x-other"] {
                assert!(!headers.contains_key(kept), "{kept} went upstream with {body}");
            }
        }
    }
}
