//! Two servers with the same tools.

use serde_json::json;
use tower_mcp_gateway::catalog::Naming;

use crate::{
    front::{Front, child, entry},
    support::{
        clients::{Mode, connect},
        servers::{Kind, Running},
    },
};

#[tokio::test]
async fn the_first_keeps_its_names_and_all_answer_to_qualified_ones() {
    let [a, b] = [Running::named(Kind::Sse, "a").await, Running::named(Kind::Modern, "b").await];
    let entries = vec![entry("a-1", "a", &a), entry("b-1", "b", &b), child("c-1", "c", "both")];
    let front = Front::of(entries).await;
    for mode in Mode::ALL {
        let client = connect(mode, &front.url()).await;
        let names = client.tool_names().await;
        let wanted = ["echo", "slow", "fail", "error", "big", "who", "hang"];
        let qualified = |server: &str| wanted.map(|name| format!("{server}__{name}"));
        assert_eq!(names, [wanted.map(String::from), qualified("b"), qualified("c")].concat());
        for (tool, server) in [("who", "a"), ("a__who", "a"), ("b__who", "b"), ("c__who", "c")] {
            assert_eq!(client.text(tool, json!({})).await, server, "{tool}");
        }
        for server in ["a", "b", "c"] {
            assert_eq!(client.read(&format!("test://{server}/any/x")).await, format!("{server} at any/x"));
        }
        client.close().await;
    }
}

#[tokio::test]
async fn all_are_qualified_where_that_is_asked_for() {
    let a = Running::named(Kind::Legacy, "a").await;
    let front = Front::with(vec![entry("a-1", "a", &a)], |config| config.naming = Naming::Prefixed).await;
    let client = connect(Mode::Initialize, &front.url()).await;
    assert!(client.tool_names().await.iter().all(|name| name.starts_with("a__")));
    assert_eq!(client.text("a__who", json!({})).await, "a");
}

#[tokio::test]
async fn an_unknown_tool_is_an_error_of_the_parameters() {
    // With one server alone, what it did not list is for it to judge.
    let [a, b] = [Running::named(Kind::Modern, "a").await, Running::named(Kind::Sse, "b").await];
    let front = Front::of(vec![entry("a-1", "a", &a), entry("b-1", "b", &b)]).await;
    for mode in Mode::ALL {
        let client = connect(mode, &front.url()).await;
        let error = client.call("nothing", json!({})).await.expect_err("there is no such tool").to_string();
        assert!(error.contains("-32602"), "{error}");
        assert_eq!([&a, &b].map(|server| server.peer.ledger.calls("nothing")), [0, 0]);
        client.close().await;
    }
}
