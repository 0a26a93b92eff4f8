//! What a principal sees and may call, and how much of it.

use crate::{
    front::{Client, Front, entry, initialize, only, request},
    support::{
        clients::{Raw, modern},
        servers::{Kind, Running},
    },
};
use serde_json::{Value, json};
use tower_mcp_gateway::{
    Glob,
    policy::{Policies, Policy},
};

struct Stage {
    front: Front,
    one: Running,
    two: Running,
}

impl Stage {
    async fn with(clients: &[&Client], policies: Policies) -> Self {
        let (one, two) = (Running::named(Kind::Modern, "one").await, Running::named(Kind::Legacy, "two").await);
        let servers = vec![entry("one-1", "one", &one), entry("two-1", "two", &two)];
        let auth = only(clients).policies(policies);
        let front = Front::with(servers, |config| config.auth = Some(auth)).await;
        Self { front, one, two }
    }

    async fn names(&self, client: &Client, method: &str, member: &str) -> Vec<String> {
        let answer = self.front.ask(&[client.header()], method, json!({})).await;
        let result = answer.json()["result"].clone();
        assert_eq!(result["cacheScope"], "private");
        let names = result[member].as_array().unwrap().iter();
        names.map(|item| item["name"].as_str().or(item["uri"].as_str()).unwrap().to_owned()).collect()
    }

    async fn call(&self, client: &Client, tool: &str) -> (u16, Value) {
        let arguments = json!({"name": tool, "arguments": {"text": "x"}});
        let answer = self.front.ask(&[client.header()], "tools/call", arguments).await;
        (answer.status.as_u16(), answer.json())
    }
}

fn globs<const N: usize>(patterns: [&str; N]) -> [Glob; N] {
    patterns.map(Glob::new)
}

#[tokio::test]
async fn a_hidden_tool_does_not_exist_by_whatever_name() {
    let (reader, admin, stranger) = (Client::new("reader-1"), Client::new("admin"), Client::new("stranger"));
    let readers =
        Policy::new("readers").servers(globs(["one"])).tools(globs(["echo", "w*", "one__h*"])).deny(globs(["who"]));
    let policies = Policies::default()
        .principal(Glob::new("reader-*"), &readers)
        .principal(Glob::new("admin"), &Policy::new("admins"));
    let stage = Stage::with(&[&reader, &admin, &stranger], policies).await;

    assert_eq!(stage.names(&reader, "tools/list", "tools").await, ["echo", "hang"]);
    let all = stage.names(&admin, "tools/list", "tools").await;
    assert!(all.len() == 14 && all.contains(&"two__echo".to_owned()), "{all:?}");
    for (method, member) in [("tools/list", "tools"), ("prompts/list", "prompts"), ("resources/list", "resources")] {
        assert!(stage.names(&stranger, method, member).await.is_empty(), "{method}");
        let (some, all) = (stage.names(&reader, method, member).await, stage.names(&admin, method, member).await);
        assert!(
            some.iter().all(|name| all.contains(name)) && !some.iter().any(|name| name.contains("two")),
            "{some:?}"
        );
    }

    let unknown = |tool: &str, text: &str| text.replace(tool, "TOOL");
    let (status, nobody) = stage.call(&reader, "nowhere").await;
    let nobody = unknown("nowhere", &nobody.to_string());
    for hidden in ["who", "one__who", "two__echo", "two__who", "fail", "one__fail"] {
        let (hidden_status, told) = stage.call(&reader, hidden).await;
        assert_eq!((hidden_status, unknown(hidden, &told.to_string())), (status, nobody.clone()), "{hidden}");
        let (stranger_status, told) = stage.call(&stranger, hidden).await;
        assert_eq!((stranger_status, unknown(hidden, &told.to_string())), (status, nobody.clone()), "{hidden}");
    }
    for server in [&stage.one, &stage.two] {
        assert!(server.peer.ledger.all_calls().is_empty(), "none of it reached a server");
    }
    for tool in ["echo", "one__echo"] {
        assert_eq!(stage.call(&reader, tool).await.1["result"]["content"][0]["text"], "x");
    }
    assert_eq!(stage.call(&admin, "two__echo").await.1["result"]["content"][0]["text"], "x");
    assert_eq!(stage.call(&stranger, "echo").await.1["error"]["code"], -32602);
}

#[tokio::test]
async fn a_client_of_an_earlier_revision_sees_the_same() {
    let reader = Client::new("reader");
    let readers = Policy::new("readers").servers(globs(["two"])).tools(globs(["echo"]));
    let policies = Policies::default().principal(Glob::new("*"), &readers);
    let stage = Stage::with(&[&reader], policies).await;
    let opened = stage.front.post("/mcp", &[reader.header()], &initialize()).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let headers = [reader.header(), ("mcp-session-id", &session)];
    let listed = stage.front.post("/mcp", &headers, &request(1, "tools/list", json!({}))).await.json();
    let names: Vec<_> = listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
    assert_eq!(names, ["two__echo"], "under the name it has for everybody");
    let call = |name: &str| request(2, "tools/call", json!({"name": name, "arguments": {"text": "x"}}));
    let echoed = stage.front.post("/mcp", &headers, &call("two__echo")).await.json();
    assert_eq!(echoed["result"]["content"][0]["text"], "x");
    for hidden in ["echo", "one__echo", "two__who", "who"] {
        assert_eq!(stage.front.post("/mcp", &headers, &call(hidden)).await.json()["error"]["code"], -32602, "{hidden}");
    }
}

#[tokio::test]
async fn each_principal_has_its_own_requests_and_calls_in_flight() {
    let (slow, other, busy) = (Client::new("slow"), Client::new("other"), Client::new("busy"));
    let policies = Policies::default()
        .principal(Glob::new("busy"), &Policy::new("busy").max_in_flight(1))
        .principal(Glob::new("*"), &Policy::new("rated").rate("2/h".parse().unwrap()));
    let stage = Stage::with(&[&slow, &other, &busy], policies).await;
    for status in [200, 200, 429, 429] {
        let answer = stage.front.ask(&[slow.header()], "tools/call", json!({"name": "who"})).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
    }
    assert_eq!(stage.call(&other, "who").await.0, 200, "another principal of the same policy");

    let running = {
        let (mut headers, message) = modern(json!(1), "tools/call", json!({"name": "hang", "arguments": {}}));
        headers.push(("authorization", busy.header.clone()));
        let address = stage.front.address;
        tokio::spawn(async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Raw::post(address, "/mcp", &headers, &message).await.status
        })
    };
    stage.one.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
    let (status, told) = stage.call(&busy, "who").await;
    assert_eq!((status, &told["error"]["data"]["reason"]), (429, &json!("too_many_calls")));
    running.abort();
    stage.one.peer.ledger.until(|counts| counts.abandoned == 1).await;
    while stage.call(&busy, "who").await.0 != 200 {
        tokio::task::yield_now().await;
    }
}

/// Two servers have one tool: whose it is was settled by the configuration, and no failure changes it.
#[tokio::test]
async fn a_tool_is_never_anothers_because_its_server_is_down() {
    let alice = Client::new("alice");
    let stage = Stage::with(&[&alice], Policies::default().principal(Glob::new("*"), &Policy::new("all"))).await;
    assert_eq!(stage.call(&alice, "who").await.0, 200);
    let before = stage.two.peer.ledger.calls("who");
    let Stage { front, one, two } = stage;
    drop(one);
    for _ in 0..5 {
        let answer = front.ask(&[alice.header()], "tools/call", json!({"name": "who"})).await;
        assert!([502, 503].contains(&answer.status.as_u16()), "{}", answer.status);
    }
    assert_eq!(two.peer.ledger.calls("who"), before);
}
