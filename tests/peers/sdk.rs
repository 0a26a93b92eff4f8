//! The official SDK's client straight against every server.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{
    clients::{Client, Mode, connect, launch},
    peer::{ERROR, LISTENING, Peer},
    servers::{Kind, Running, Speaks, example},
};

/// Every pair of a client's mode and a server's kind that meet without a gateway: the SDK has no client for HTTP+SSE.
fn pairs() -> impl Iterator<Item = (Mode, Kind)> {
    let initialize = [Kind::Legacy, Kind::LegacySessionless, Kind::Rmcp(Speaks::Legacy), Kind::Rmcp(Speaks::Both)];
    let discover = [Kind::Modern, Kind::Rmcp(Speaks::Modern), Kind::Rmcp(Speaks::Both)];
    let initialize = initialize.into_iter().map(|kind| (Mode::Initialize, kind));
    initialize.chain(discover.into_iter().map(|kind| (Mode::Discover, kind)))
}

async fn converse(client: &Client, name: &str) {
    let names = client.tool_names().await;
    assert_eq!(names, ["echo", "slow", "fail", "error", "big", "who", "hang"]);
    assert_eq!(client.text("echo", json!({ "text": "héllo" })).await, "héllo");
    assert_eq!(client.text("who", json!({})).await, name);
    assert_eq!(client.text("big", json!({ "bytes": 1 << 20 })).await.len(), 1 << 20);

    let failed = client.call("fail", json!({})).await.expect("a result");
    assert_eq!(failed["isError"], true);
    let error = client.call("error", json!({})).await.expect_err("an error").to_string();
    assert!(error.contains(ERROR.1), "{error}");

    assert_eq!(client.text("slow", json!({ "steps": 5 })).await, "5 steps");
    assert_eq!(client.progress(), [1.0, 2.0, 3.0, 4.0, 5.0]);

    assert_eq!(client.read(&format!("test://{name}/fixed")).await, format!("{name} at fixed"));
    assert_eq!(client.read(&format!("test://{name}/any/a/b")).await, format!("{name} at any/a/b"));
    let prompts = client.service.list_all_prompts().await.expect("prompts");
    assert_eq!(prompts[0].name, format!("{name}-greet"));
    let templates = client.service.list_all_resource_templates().await.expect("templates");
    assert_eq!(templates[0].uri_template, format!("test://{name}/any/{{+path}}"));
}

#[tokio::test]
async fn every_server_over_http_serves_the_sdk() {
    for (mode, kind) in pairs() {
        println!("{mode:?} × {kind:?}");
        let server = Running::named(kind, "one").await;
        let client = connect(mode, &server.url()).await;
        converse(&client, "one").await;
        assert_eq!(server.peer.ledger.calls("echo"), 1);
        assert_eq!(server.peer.ledger.methods("tools/list"), 3, "the list has three pages");
        client.close().await;
    }
}

#[tokio::test]
async fn every_server_over_stdio_serves_the_sdk() {
    let pairs = [
        (Mode::Initialize, "plain"),
        (Mode::Initialize, "legacy"),
        (Mode::Initialize, "both"),
        (Mode::Discover, "modern"),
        (Mode::Discover, "both"),
    ];
    for (mode, era) in pairs {
        println!("{mode:?} × {era}");
        let mut command = Command::new(example("peer"));
        command.args(["child", era]);
        let client = launch(mode, command).await;
        converse(&client, "child").await;
        client.close().await;
    }
}

#[tokio::test]
async fn a_changed_list_is_told_of() {
    for (mode, kind) in pairs().filter(|(mode, kind)| *mode == Mode::Initialize && *kind != Kind::LegacySessionless) {
        println!("{mode:?} × {kind:?}");
        let server = Running::named(kind, "one").await;
        let client = connect(mode, &server.url()).await;
        server.peer.ledger.until(|counts| counts.methods.contains_key(LISTENING)).await;
        server.peer.add_tool("later");
        client.until_tools_changed(1).await;
        assert_eq!(client.text("later", json!({ "text": "x" })).await, "x");
        client.close().await;
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_is_counted() {
    for (mode, kind) in pairs() {
        println!("{mode:?} × {kind:?}");
        let server = Running::named(kind, "one").await;
        let client = Arc::new(connect(mode, &server.url()).await);
        let calling = tokio::spawn({
            let client = client.clone();
            async move { client.call("hang", json!({})).await.map(drop) }
        });
        server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
        calling.abort();
        server.peer.ledger.until(|counts| counts.abandoned == 1).await;
    }
}

#[tokio::test]
async fn a_killed_server_returns_at_its_address() {
    for kind in [Kind::Sse, Kind::Legacy, Kind::Modern, Kind::Rmcp(Speaks::Both)] {
        let mut server = Running::named(kind, "one").await;
        let url = server.url();
        let held = tokio::net::TcpStream::connect(server.address()).await.expect("it listens");
        server.kill().await;
        tokio::net::TcpStream::connect(server.address()).await.expect_err("it is gone");
        crate::support::soon("the cut", held.readable()).await.expect("the end is to be read");
        assert_eq!(held.try_read(&mut [0]).unwrap_or(0), 0);
        server.restart().await;
        assert_eq!(server.url(), url);
        tokio::net::TcpStream::connect(server.address()).await.expect("it is back");
    }
}

#[tokio::test]
async fn fields_the_sdk_does_not_know_stay_in_its_own_servers_list() {
    let server = Running::start(Kind::Modern, Peer::with_page("one", 100)).await;
    let client = connect(Mode::Discover, &server.url()).await;
    let tools = client.tools().await;
    let who = tools.iter().find(|tool| tool["name"] == "who").expect("it is listed");
    assert_eq!(who["_meta"]["example.com/colour"], "blue");
    assert_eq!(who["title"], Value::from("Who?"));
    assert_eq!(server.peer.ledger.methods("tools/list"), 1);
}
