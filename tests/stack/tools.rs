//! What a configuration says of calls and tools is in force, from the client to the server.

use crate::{
    House,
    fleet::{Fleet, Mode, server, tool, who},
    wire::{Post, request, text},
};
use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tower::ServiceExt;
use tower_mcp_gateway::{
    Gateway, Glob,
    config::Config,
    registry::Resend,
    toolset::{ToolSettings, Toolset},
};

/// A server of 2026-07-28 over HTTP, which answers calls with the name of the tool.
struct Upstream {
    calls: Mutex<Vec<String>>,
    /// Calls of `hold` wait for `true`.
    open: watch::Sender<bool>,
    url: String,
}

async fn answer(State(upstream): State<Arc<Upstream>>, Json(message): Json<Value>) -> Json<Value> {
    let result = match message["method"].as_str().unwrap() {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "prompts": {}}}),
        "tools/list" => {
            let tool = |name| json!({"name": name, "description": "As it is.", "inputSchema": {"type": "object"}});
            let tools = ["read", "write", "hold"].map(tool);
            json!({ "tools": tools })
        }
        "prompts/list" => json!({"prompts": [{"name": "greet"}]}),
        "prompts/get" => {
            upstream.waits().await;
            json!({"messages": []})
        }
        "tools/call" => {
            let name = message["params"]["name"].as_str().unwrap().to_owned();
            upstream.calls.lock().unwrap().push(name.clone());
            if name == "hold" {
                upstream.waits().await;
            }
            json!({"content": [{"type": "text", "text": name}]})
        }
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            return Json(json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
        }
    };
    Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}

impl Upstream {
    async fn waits(&self) {
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn config(&self, fields: &str) -> Config {
        let text = format!("{{\"mcpServers\": {{\"files\": {{\"url\": \"{}\"{fields}}}}}}}", self.url);
        Config::parse(&text, |_| None).unwrap()
    }

    /// Reloads with these fields in the entry, and waits for the table that shows it.
    async fn reload(&self, gateway: &Gateway, fields: &str) -> String {
        let tables = gateway.registry().tables();
        let old = Arc::as_ptr(&tables.load());
        let said = gateway.reload(self.config(fields)).unwrap().to_string();
        while Arc::as_ptr(&tables.load()) == old {
            tokio::task::yield_now().await;
        }
        said
    }

    /// Until this many calls are at the server.
    async fn has(&self, calls: usize) {
        while self.calls.lock().unwrap().len() < calls {
            tokio::task::yield_now().await;
        }
    }
}

/// A gateway before a server with these fields in its entry.
async fn gateway(fields: &str) -> (Gateway, Arc<Upstream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let upstream = Arc::new(Upstream { calls: Mutex::default(), open: watch::Sender::new(false), url });
    let router = Router::new().route("/mcp", post(answer)).with_state(upstream.clone());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let (gateway, driver) = Gateway::from_config(upstream.config(fields)).unwrap();
    tokio::spawn(driver);
    gateway.registry().tables().settled().await;
    (gateway, upstream)
}

/// Status, `Retry-After` and message of the answer.
async fn send(gateway: &Gateway, request: Post) -> (u16, Option<String>, Value) {
    let response = gateway.clone().oneshot(request).await.unwrap();
    let after = response.headers().get("retry-after").map(|after| after.to_str().unwrap().to_owned());
    (response.status().as_u16(), after, serde_json::from_str(&text(response).await).unwrap())
}

async fn call(gateway: &Gateway, tool: &str) -> (u16, Option<String>, Value) {
    send(gateway, request("tools/call", json!({"name": tool, "arguments": {}}))).await
}

/// The text of a call that works.
async fn called(gateway: &Gateway, tool: &str) -> String {
    let (_, _, message) = call(gateway, tool).await;
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{tool}: {message}")).to_owned()
}

#[tokio::test]
async fn clients_see_and_call_the_tools_as_the_operator_says_and_no_others() {
    let fields = r#", "allow": ["read", "hold"], "toolSettings": {
        "read": {"rename": "fetch", "description": "Fetches \"it\"."}, "hold": {"hidden": true}}"#;
    let (gateway, upstream) = gateway(fields).await;
    let (_, _, list) = send(&gateway, request("tools/list", json!({}))).await;
    let expected = json!([{"name": "fetch", "description": "Fetches \"it\".", "inputSchema": {"type": "object"}}]);
    assert_eq!(list["result"]["tools"], expected);
    for name in ["fetch", "files__fetch"] {
        assert_eq!(called(&gateway, name).await, "read");
    }
    assert_eq!(upstream.calls(), ["read", "read"]);
    for gone in ["read", "write", "hold", "files__read", "files__write", "files__hold"] {
        let (status, _, message) = call(&gateway, gone).await;
        assert_eq!((status, message["error"]["code"].as_i64()), (200, Some(-32602)), "{gone}: {message}");
    }
    assert!(upstream.calls().is_empty(), "none of them got there");
}

#[tokio::test]
async fn a_rate_refuses_with_429_and_says_when_to_come_again() {
    let (gateway, upstream) = gateway(r#", "toolSettings": {"write": {"rate": "1/h"}}"#).await;
    assert_eq!(called(&gateway, "write").await, "write");
    let (status, after, message) = call(&gateway, "write").await;
    assert_eq!((status, message["error"]["code"].as_i64()), (429, Some(429)), "{message}");
    let data = &message["error"]["data"];
    assert_eq!((data["source"].as_str(), data["reason"].as_str()), (Some("gateway"), Some("rate_limited")));
    let hint = data["retryAfterMs"].as_u64().unwrap();
    assert!((3_590_000..=3_600_000).contains(&hint), "{hint}");
    assert_eq!(after.unwrap().parse::<u64>().unwrap(), hint.div_ceil(1000));
    assert_eq!(called(&gateway, "read").await, "read");
    assert_eq!(upstream.calls(), ["write", "read"]);
    // A table that is made anew counts on.
    upstream.reload(&gateway, r#", "toolSettings": {"write": {"rate": "1/h"}, "read": {"hidden": true}}"#).await;
    assert_eq!(call(&gateway, "read").await.0, 200, "unknown");
    assert_eq!(call(&gateway, "write").await.0, 429);
    upstream.reload(&gateway, r#", "toolSettings": {"write": {"rate": "2/h"}}"#).await;
    assert_eq!(called(&gateway, "write").await, "write");
}

#[tokio::test]
async fn the_rate_of_a_server_is_over_all_it_has() {
    let (gateway, upstream) = gateway(r#", "rate": "2/h""#).await;
    for tool in ["read", "write"] {
        assert_eq!(called(&gateway, tool).await, tool);
    }
    assert_eq!(call(&gateway, "read").await.0, 429);
    assert_eq!(send(&gateway, request("prompts/get", json!({"name": "greet"}))).await.0, 429);
    assert_eq!(upstream.calls().len(), 2);
}

#[tokio::test]
async fn a_timeout_is_that_of_the_tool_or_else_of_the_server() {
    let fields = r#", "requestTimeout": 150, "toolSettings": {"hold": {"requestTimeout": 20}}"#;
    let (gateway, _upstream) = gateway(fields).await;
    for (request, limit) in [
        (request("tools/call", json!({"name": "hold", "arguments": {}})), 20),
        (request("prompts/get", json!({"name": "greet"})), 150),
    ] {
        let start = Instant::now();
        let (status, _, message) = send(&gateway, request).await;
        let expected = format!("no answer within {limit} ms");
        assert_eq!((status, message["error"]["message"].as_str()), (504, Some(expected.as_str())));
        let took = start.elapsed();
        assert!((Duration::from_millis(limit)..Duration::from_secs(5)).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_call_beyond_the_bound_of_its_tool_waits_for_its_turn_and_not_for_ever() {
    let (gateway, upstream) = gateway(r#", "toolSettings": {"hold": {"maxInFlight": 1}}"#).await;
    let first = tokio::spawn({
        let gateway = gateway.clone();
        async move { called(&gateway, "hold").await }
    });
    upstream.has(1).await;
    assert_eq!(called(&gateway, "read").await, "read", "others do not wait");
    let (status, after, _) = call(&gateway, "hold").await;
    assert_eq!((status, after.as_deref()), (503, Some("1")));
    let second = tokio::spawn({
        let gateway = gateway.clone();
        async move { called(&gateway, "hold").await }
    });
    upstream.open.send_replace(true);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), ("hold".into(), "hold".into()));
    assert_eq!(upstream.calls(), ["hold", "read", "hold"]);
}

#[tokio::test]
async fn a_reload_adjusts_without_a_new_connection_and_says_what() {
    let (gateway, upstream) = gateway("").await;
    let reloaded =
        upstream.reload(&gateway, r#", "deny": ["write"], "requestTimeout": 9, "retry": "idempotent""#).await;
    assert_eq!(reloaded, "adjusted files (deny, requestTimeout, retry); 0 unchanged");
    assert_eq!(gateway.registry().list().len(), 1, "none is stopping");
    assert_eq!(call(&gateway, "write").await.2["error"]["code"], -32602);
    assert_eq!(
        upstream.reload(&gateway, r#", "rate": "5/s""#).await,
        "changed files (rate, deny, requestTimeout, retry); 0 unchanged"
    );
    assert_eq!(called(&gateway, "write").await, "write");
}

#[tokio::test(start_paused = true)]
async fn the_operators_word_about_a_tool_lets_it_run_twice_whatever_its_server_says() {
    for (resend, again) in [(Some(Resend::Idempotent), true), (Some(Resend::Never), false), (None, false)] {
        let fleet = Fleet::default();
        let mut settings = ToolSettings::default();
        settings.resend = resend;
        let tools = Toolset::default().tool(Glob::new("e*"), settings);
        let house = House::begin(&fleet, [server("a-1", "a").tools(tools), server("a-2", "a")]);
        house.registry.tables().settled().await;
        let peers = ["a-1", "a-2"].map(|id| fleet.peer(id));
        for peer in &peers {
            peer.set(Mode::Busy);
        }
        let call = tokio::spawn(house.send(tool("echo")));
        while peers.iter().all(|peer| peer.calls() == 0) {
            tokio::task::yield_now().await;
        }
        let (asked, other) = if peers[0].calls() == 1 { (&peers[0], &peers[1]) } else { (&peers[1], &peers[0]) };
        other.set(Mode::Up);
        asked.set(Mode::Down);
        let reply = call.await.unwrap();
        assert_eq!((reply.is_ok(), other.calls()), (again, again.into()), "{resend:?}");
        if let Ok(reply) = reply {
            assert!(who(reply).await.starts_with("a-"));
        }
    }
}
