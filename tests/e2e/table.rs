//! Each way a client opens × each kind of server: what one does, the other sees.

use serde_json::json;

use crate::{
    front::{Front, child},
    support::{
        clients::{Client, Mode, connect},
        peer::ERROR,
        servers::{Kind, Running, Speaks},
    },
};

/// Everything a client does at a server named `one`.
async fn converse(client: &Client) {
    assert_eq!(client.tool_names().await, ["echo", "slow", "fail", "error", "big", "who", "hang"]);
    assert_eq!(client.text("who", json!({})).await, "one");
    assert_eq!(client.text("echo", json!({ "text": "héllo \u{1F9A6}\n\"\\" })).await, "héllo \u{1F9A6}\n\"\\");

    assert_eq!(client.text("slow", json!({ "steps": 20 })).await, "20 steps");
    let wanted: Vec<f64> = (1..=20).map(f64::from).collect();
    assert_eq!(client.progress(), wanted, "every step, in order, before the result");

    let failed = client.call("fail", json!({})).await.expect("a tool's failure is a result");
    assert_eq!(failed["isError"], true);
    assert_eq!(failed["content"][0]["text"], "the tool failed");
    let error = client.call("error", json!({})).await.expect_err("a request's failure is an error").to_string();
    assert!(error.contains(ERROR.1) && error.contains(&ERROR.0.to_string()), "{error}");

    assert_eq!(client.text("big", json!({ "bytes": 1 << 20 })).await.len(), 1 << 20);

    assert_eq!(client.read("test://one/fixed").await, "one at fixed");
    assert_eq!(client.read("test://one/any/a/b").await, "one at any/a/b");
    let prompts = client.service.list_all_prompts().await.expect("prompts");
    assert_eq!(prompts.iter().map(|prompt| prompt.name.as_str()).collect::<Vec<_>>(), ["one-greet"]);
    let templates = client.service.list_all_resource_templates().await.expect("templates");
    assert_eq!(templates[0].uri_template, "test://one/any/{+path}");
}

async fn over_http(kind: Kind) {
    for mode in Mode::ALL {
        println!("{mode:?} × {kind:?}");
        let server = Running::named(kind, "one").await;
        let front = Front::of_one(&server).await;
        let client = connect(mode, &front.url()).await;
        converse(&client).await;
        for tool in ["echo", "slow", "fail", "error", "big", "who"] {
            assert_eq!(server.peer.ledger.calls(tool), 1, "{tool} arrives once");
        }
        client.close().await;
    }
}

async fn over_stdio(era: &str) {
    for mode in Mode::ALL {
        println!("{mode:?} × {era} over stdio");
        let front = Front::of(vec![child("one-1", "one", era)]).await;
        let client = connect(mode, &front.url()).await;
        converse(&client).await;
        client.close().await;
    }
}

macro_rules! rows {
    ($($name:ident: $through:ident($server:expr);)*) => {$(
        #[tokio::test]
        async fn $name() {
            $through($server).await;
        }
    )*};
}

rows! {
    sse: over_http(Kind::Sse);
    legacy: over_http(Kind::Legacy);
    legacy_without_sessions: over_http(Kind::LegacySessionless);
    modern: over_http(Kind::Modern);
    sdk_legacy: over_http(Kind::Rmcp(Speaks::Legacy));
    sdk_modern: over_http(Kind::Rmcp(Speaks::Modern));
    sdk_both: over_http(Kind::Rmcp(Speaks::Both));
    stdio_plain: over_stdio("plain");
    stdio_sdk_legacy: over_stdio("legacy");
    stdio_sdk_modern: over_stdio("modern");
    stdio_sdk_both: over_stdio("both");
}

#[tokio::test]
async fn a_url_without_a_path_is_the_endpoint_too() {
    let server = Running::named(Kind::Modern, "one").await;
    let front = Front::of_one(&server).await;
    for mode in Mode::ALL {
        let client = connect(mode, &format!("http://{}/", front.address())).await;
        assert_eq!(client.text("who", json!({})).await, "one");
        client.close().await;
    }
}
