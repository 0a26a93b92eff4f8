//! Several gateways behind one address, as an orchestrator runs them.

use crate::{
    running::{Gateway, entry},
    support::{
        clients::Raw,
        servers::{Kind, Running},
    },
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn config(name: &str, server: &Running) -> Value {
    let key = "a key that is shared by all gateways of one name";
    json!({ "name": name, "keys": [key], "admin": { "port": 0 }, "mcpServers": { "search": entry(server) } })
}

/// Opens a session; its id.
async fn open(gateway: &Gateway) -> String {
    let params =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let opened = Raw::post(gateway.address, "/mcp", &[], &initialize).await;
    opened.headers["mcp-session-id"].to_str().unwrap().to_owned()
}

/// The status of a call in a session, and what it was answered.
async fn called(gateway: &Gateway, session: &str) -> (u16, Value) {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "who" } });
    let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-06-18")];
    let answer = Raw::post(gateway.address, "/mcp", &headers, &call).await;
    let status = answer.status;
    (status.as_u16(), answer.collect().await.json()["result"]["content"][0]["text"].clone())
}

#[tokio::test]
async fn a_session_is_known_to_all_that_share_keys_and_name_and_outlives_the_one_that_opened_it() {
    let server = Running::named(Kind::Modern, "search").await;
    let mut first = Gateway::start("replica-1", &config("shared", &server)).await;
    let second = Gateway::start("replica-2", &config("shared", &server)).await;
    let stranger = Gateway::start("replica-3", &config("another", &server)).await;

    let session = open(&first).await;
    let answered = (200, json!("search"));
    assert_eq!(called(&first, &session).await, answered);
    assert_eq!(called(&second, &session).await, answered);
    assert_eq!(called(&stranger, &session).await.0, 404, "another gateway, though of the same keys");

    first.signal(Signal::SIGTERM);
    assert_eq!(first.code().await, Some(0));
    assert_eq!(called(&second, &session).await, answered);
}
