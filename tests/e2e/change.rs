//! A server that changes its tools while clients are connected.

use serde_json::json;

use crate::{
    front::Front,
    support::{
        clients::{Mode, Raw, connect, modern},
        peer::LISTENING,
        servers::{Kind, Running, Speaks},
    },
};

const KINDS: [Kind; 5] =
    [Kind::Sse, Kind::Legacy, Kind::Modern, Kind::Rmcp(Speaks::Legacy), Kind::Rmcp(Speaks::Modern)];

#[tokio::test]
async fn a_listener_is_told_and_finds_the_new_tool() {
    for kind in KINDS {
        println!("{kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        let client = connect(Mode::Discover, &front.url()).await;
        assert_eq!(client.tool_names().await.len(), 7);
        server.peer.ledger.until(|counts| counts.methods.contains_key(LISTENING)).await;

        let wanted = json!({ "notifications": { "toolsListChanged": true } });
        let (headers, listen) = modern(json!("l"), "subscriptions/listen", wanted);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut stream = Raw::post(front.address(), "/mcp", &headers, &listen).await;
        let acknowledged = stream.message().await.expect("an acknowledgement");
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(acknowledged["params"]["notifications"]["toolsListChanged"], true);

        server.peer.add_tool("later");
        let note = stream.message().await.expect("news");
        assert_eq!(note["method"], "notifications/tools/list_changed");
        assert_eq!(note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
        // The SDK's client would answer from its cache.
        let (headers, list) = modern(json!(1), "tools/list", json!({}));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let listed = Raw::post(front.address(), "/mcp", &headers, &list).await.collect().await.json();
        let names: Vec<_> = listed["result"]["tools"].as_array().expect("tools").iter().map(|t| &t["name"]).collect();
        assert!(names.contains(&&json!("later")), "told only after the list has it: {names:?}");
        assert_eq!(client.text("later", json!({ "text": "x" })).await, "x");
    }
}

#[tokio::test]
async fn a_session_is_told_and_finds_the_new_tool() {
    for kind in KINDS {
        println!("{kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        let client = connect(Mode::Initialize, &front.url()).await;
        assert_eq!(client.tool_names().await.len(), 7);
        server.peer.ledger.until(|counts| counts.methods.contains_key(LISTENING)).await;
        server.peer.add_tool("later");
        client.until_tools_changed(1).await;
        assert_eq!(client.text("later", json!({ "text": "x" })).await, "x");
        client.close().await;
    }
}
