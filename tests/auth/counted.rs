//! Every refusal can be read at `/metrics` afterwards.

use crate::{
    front::{Client, Front, entry, only},
    support::{
        clients::{Raw, modern},
        servers::{Kind, Running},
        soon,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_mcp_gateway::{
    Glob,
    metrics::Exposition,
    policy::{Policies, Policy},
};

/// What is counted as refused or dropped, by its label, without what is zero.
fn counts(front: &Front) -> BTreeMap<String, u64> {
    let text = Exposition::new(front.gateway.registry().clone()).to_text();
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("mcp_gateway_refused_total{reason=\"");
        let rest = rest.or_else(|| line.strip_prefix("mcp_gateway_dropped_total{what=\""))?;
        let (label, count) = rest.split_once("\"} ")?;
        Some((label.to_owned(), count.parse().unwrap()))
    });
    lines.filter(|(_, count)| *count > 0).collect()
}

/// What was counted since, and how often.
fn since(front: &Front, before: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let after = counts(front).into_iter();
    let grown = after.map(|(label, count)| {
        let more = count - before.get(&label).copied().unwrap_or_default();
        (label, more)
    });
    grown.filter(|(_, more)| *more > 0).collect()
}

struct Stage {
    front: Front,
    server: Running,
    alice: Client,
    slow: Client,
    busy: Client,
}

impl Stage {
    async fn start() -> Self {
        let server = Running::named(Kind::Modern, "one").await;
        let (alice, slow, busy) = (Client::new("alice"), Client::new("slow"), Client::new("busy"));
        let policies = Policies::default()
            .principal(Glob::new("slow"), &Policy::new("slow").rate("1/h".parse().unwrap()))
            .principal(Glob::new("busy"), &Policy::new("busy").max_in_flight(1))
            .principal(Glob::new("*"), &Policy::new("readers").deny([Glob::new("who")]));
        let auth = only(&[&alice, &slow, &busy]).policies(policies);
        let front = Front::with(vec![entry("one-1", "one", &server)], |config| {
            config.auth = Some(auth);
            config.limits.max_request_bytes = 4096;
            config.limits.body_timeout = Duration::from_millis(100);
        });
        Self { front: front.await, server, alice, slow, busy }
    }

    async fn call(&self, client: &Client, headers: &[(&str, &str)], params: Value) -> u16 {
        let headers: Vec<_> = [client.header()].iter().chain(headers).copied().collect();
        self.front.ask(&headers, "tools/call", params).await.status.as_u16()
    }
}

#[tokio::test]
async fn each_refusal_of_a_request_is_counted_once_under_its_reason() {
    let stage = Stage::start().await;
    let who = || json!({"name": "who", "arguments": {}});
    let echo = || json!({"name": "echo", "arguments": {"text": "x"}});
    assert_eq!(stage.call(&stage.slow, &[], echo()).await, 200, "its request of this hour");
    let large = json!({"name": "echo", "arguments": {"text": "x".repeat(5000)}});
    type Case<'a> = (&'a str, &'a Client, &'a [(&'a str, &'a str)], Value, u16);
    let stranger = Client::new("stranger");
    let cases: [Case<'_>; 6] = [
        ("origin", &stage.alice, &[("origin", "https://evil.example")], echo(), 403),
        ("rate_limited", &stage.slow, &[], echo(), 429),
        ("body_too_large", &stage.alice, &[], large, 413),
        // Hidden by its policy, so that nobody has it.
        ("invalid_params", &stage.alice, &[], who(), 200),
        ("header", &stage.alice, &[("mcp-name", "other")], echo(), 400),
        ("unauthorized", &stranger, &[], echo(), 401),
    ];
    for (label, client, headers, params, status) in cases {
        let before = counts(&stage.front);
        assert_eq!(stage.call(client, headers, params).await, status, "{label}");
        assert_eq!(since(&stage.front, &before), [(label.to_owned(), 1)], "{label}");
    }
    let before = counts(&stage.front);
    let (_, mut message) = modern(json!(1), "tools/list", json!({}));
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("1999-01-01");
    let foreign = [stage.alice.header(), ("mcp-protocol-version", "1999-01-01"), ("mcp-method", "tools/list")];
    assert_eq!(Raw::post(stage.front.address, "/mcp", &foreign, &message).await.status, 400);
    assert_eq!(since(&stage.front, &before), [("version".to_owned(), 1)]);
}

#[tokio::test]
async fn a_foreign_name_of_the_host_is_counted() {
    let stage = Stage::start().await;
    let before = counts(&stage.front);
    for host in ["rebound.example", "127.0.0.1.rebound.example:80"] {
        let line = format!("POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
        let mut stream = TcpStream::connect(stage.front.address).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert_eq!(since(&stage.front, &before), [("host".to_owned(), 2)]);
}

#[tokio::test]
async fn a_call_beyond_those_that_a_principal_may_have_in_flight_is_counted() {
    let stage = Stage::start().await;
    let (mut headers, message) = modern(json!(1), "tools/call", json!({"name": "hang", "arguments": {}}));
    headers.push(("authorization", stage.busy.header.clone()));
    let address = stage.front.address;
    let running = tokio::spawn(async move {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Raw::post(address, "/mcp", &headers, &message).await.status
    });
    stage.server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
    let before = counts(&stage.front);
    assert_eq!(stage.call(&stage.busy, &[], json!({"name": "who"})).await, 429);
    assert_eq!(since(&stage.front, &before), [("rate_limited".to_owned(), 1)]);
    running.abort();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_counted() {
    let stage = Stage::start().await;
    let before = counts(&stage.front);
    let mut stream = TcpStream::connect(stage.front.address).await.unwrap();
    let (name, value) = stage.alice.header();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n{name}: {value}\r\ncontent-type: application/json\r\n\
         content-length: 20\r\nconnection: close\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the refusal", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(since(&stage.front, &before), [("slow_client".to_owned(), 1)]);
}
