//! What was refused, cut off, repeated or dropped can be read afterwards.

use crate::{
    RECOVERY,
    children::Book,
    client::Session,
    entry, front, gateway,
    support::{
        clients::Raw,
        faults::{Fault, Faulty, Wire, child},
    },
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;
use tower_mcp_gateway::{
    auth::AuthLayer,
    metrics::{Count, Exposition, Outcome},
    registry::Status,
};

#[tokio::test]
async fn every_end_of_a_call_is_counted_under_its_server_and_its_reason() {
    let bad = Faulty::start(Wire::Modern).await;
    let front = gateway(vec![entry("bad-1", "bad", &bad)]).await;
    let session = Session::open(&front).await;
    session.recovered("act").await;
    let (metrics, registry) = (front.gateway.metrics().clone(), front.gateway.registry().clone());
    let faults = [
        (Fault::Hang, Count::Silence),
        (Fault::Reset, Count::Closed),
        (Fault::Status500, Count::Status),
        (Fault::Garbage, Count::Protocol),
        (Fault::HugeBody, Count::MessageTooLarge),
    ];
    for (fault, count) in faults {
        session.recovered("act").await;
        let before = metrics.get(count);
        session.act("act", fault).await;
        assert_eq!(metrics.get(count), before + 1, "{fault:?}");
    }
    let calls = registry.measured()[0].calls.clone();
    assert_eq!(calls.total(Outcome::TimedOut), 1);
    assert!(calls.total(Outcome::Failed) >= 4 && calls.total(Outcome::Result) >= 5, "{calls:?}");

    session.recovered("act").await;
    for _ in 0..5 {
        session.act("act", Fault::Status500).await;
    }
    assert_eq!(registry.measured()[0].breaker_opened, 1);
    session.act("act", Fault::None).await;
    assert!(metrics.get(Count::Recovering) + metrics.get(Count::NoEndpoint) >= 1);
    bad.down().await;
    let mut changes = registry.changes();
    let seen_to_be_down = async {
        while registry.list()[0].status != Status::Error {
            changes.changed().await.unwrap();
        }
    };
    timeout(RECOVERY, seen_to_be_down).await.expect("the next health check fails");
    session.act("act", Fault::None).await;
    let text = Exposition::new(registry).to_text();
    for line in [
        "mcp_gateway_timeouts_total{limit=\"silence\"} 1",
        "mcp_gateway_server_breaker_opened_total{server=\"bad-1\",name=\"bad\"} 1",
        "mcp_gateway_server_status{server=\"bad-1\",name=\"bad\",status=\"error\"} 1",
        "mcp_gateway_server_calls_total{server=\"bad-1\",name=\"bad\",method=\"tools/call\",outcome=\"timed_out\"} 1",
        "mcp_gateway_sessions 1",
        "mcp_gateway_calls_in_flight 0",
        "mcp_gateway_server_calls_in_flight{server=\"bad-1\",name=\"bad\"} 0",
    ] {
        assert!(text.lines().any(|is| is == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn what_is_turned_away_at_the_door_is_counted_by_its_reason() {
    let bad = Faulty::start(Wire::Modern).await;
    let front = front::Front::with(vec![entry("bad-1", "bad", &bad)], |config| {
        crate::bounds(config);
        (config.limits.max_in_flight, config.limits.max_request_bytes) = (3, 4096);
    })
    .await;
    let (session, metrics) = (Session::open(&front).await, front.gateway.metrics().clone());
    session.recovered("act").await;
    let post = |headers: Vec<(&'static str, &'static str)>, body: serde_json::Value| {
        let address = front.address();
        async move { Raw::post(address, "/mcp", &headers, &body).await.status }
    };
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    assert_eq!(post(vec![("origin", "http://evil.example")], ping.clone()).await, 403);
    assert_eq!(post(vec![], json!({ "large": "x".repeat(5000) })).await, 413);
    assert_eq!(post(vec![("mcp-session-id", "of-nobody")], ping.clone()).await, 404);
    assert_eq!(post(vec![], json!("no message")).await, 400);
    for count in [Count::Origin, Count::BodyTooLarge, Count::UnknownSession, Count::Malformed] {
        assert_eq!(metrics.get(count), 1, "{count:?}: {metrics:?}");
    }
    let crowd = join_all((0..5).map(|_| session.act("act", Fault::Hang))).await;
    assert_eq!(crowd.iter().filter(|ended| ended.reason() == "overloaded").count(), 2);
    assert_eq!((metrics.get(Count::Overloaded), metrics.get(Count::Silence)), (2, 3));
}

#[tokio::test]
async fn a_childs_starts_and_what_it_says_beside_the_protocol_are_counted() {
    let book = Book::new("counted");
    let front = gateway(vec![child("bad-1", "bad", book.path())]).await;
    let (session, registry) = (Session::open(&front).await, front.gateway.registry().clone());
    session.recovered("act").await;
    assert_eq!(registry.measured()[0].calls.starts(), 1);
    session.act("act", Fault::Garbage).await;
    assert_eq!(front.gateway.metrics().get(Count::Garbage), 1);
    session.act("act", Fault::Crash).await;
    session.recovered("act").await;
    assert_eq!(registry.measured()[0].calls.starts(), 2);
}

#[tokio::test]
async fn who_is_not_let_in_is_counted() {
    let bad = Faulty::start(Wire::Modern).await;
    let front = front::Front::with(vec![entry("bad-1", "bad", &bad)], |config| {
        crate::bounds(config);
        config.auth = Some(AuthLayer::required());
    })
    .await;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for headers in [&[][..], &[("authorization", "Bearer of-nobody")]] {
        assert_eq!(Raw::post(front.address(), "/mcp", headers, &ping).await.status, 401);
    }
    assert_eq!(front.gateway.metrics().get(Count::Unauthorized), 2);
}
