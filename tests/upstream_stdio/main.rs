//! Servers behind pipes, from the call to the child and back: eras, crashes, the end.

#![cfg(feature = "stdio")]

use std::time::Duration;
use tokio::time::Instant;
use tokio::time::timeout;
use tower::ServiceExt;
use tower_mcp_gateway::{
    BoxError, Call, Method, Revision,
    error::{is_connection, never_sent},
    json::Params,
    registry::Server,
    reply::Outcome,
    upstream::{Upstream, connect},
};

/// An initialize-era server that takes `initialize` once, exits on `crash`, and says how often it was greeted.
const LEGACY: &str = r#"greeted=0; while read -r line; do id=${line#*\"id\":}; id=${id%%,*}
case "$line" in
*'"method":"server/discover"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":-32601,\"message\":\"?\"}}";;
*'"method":"initialize"'*) greeted=$((greeted+1)); [ $greeted = 1 ] || exit 9
  echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{}}}";;
*'"method":"notifications/'*) ;;
*'"method":"crash"'*) exit 1;;
*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"greeted\":$greeted}}";;
esac; done"#;

/// A server of self-contained requests that says whether the request was one.
const MODERN: &str = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*}
case "$line" in
*'"method":"server/discover"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"supportedVersions\":[\"2026-07-28\"]}}";;
*'"io.modelcontextprotocol/protocolVersion":"2026-07-28"'*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{}}";;
*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":-32602,\"message\":\"no version\"}}";;
esac; done"#;

/// An old server that exits when the first thing it hears is not `initialize`.
const TOUCHY: &str = r#"read -r line; case "$line" in *'"method":"initialize"'*) ;; *) exit 1;; esac
echo '{"jsonrpc":"2.0","id":2,"result":{"protocolVersion":"2024-11-05","capabilities":{}}}'; read -r initialized
while read -r line; do id=${line#*\"id\":}; id=${id%%,*}; echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{}}"; done"#;

const HANG: Duration = Duration::from_secs(30);

fn sh(script: &str) -> Server {
    Server::stdio("sh-1", "sh", "sh").arg("-c").arg(script)
}

async fn ask(upstream: &Upstream, method: &'static str) -> Result<Outcome, BoxError> {
    let call = upstream.clone().oneshot(Call::new(Method::new(method), Params::empty()));
    timeout(HANG, async { call.await?.outcome().await }).await.expect("an answer")
}

async fn ended(server: Server, upstream: Upstream) {
    drop(upstream);
    server.tasks().close();
    timeout(HANG, server.tasks().wait()).await.expect("no process is left");
}

#[tokio::test]
async fn a_server_of_each_era() {
    for (script, revision) in [(MODERN, Revision::V2026_07_28), (LEGACY, Revision::V2025_11_25)] {
        let server = sh(script);
        let upstream = connect(&server);
        for _ in 0..3 {
            assert!(matches!(ask(&upstream, "tools/list").await, Ok(Outcome::Result(_))));
        }
        assert_eq!((upstream.revision(), upstream.fault()), (Some(revision), None));
        ended(server, upstream).await;
    }
}

#[tokio::test]
async fn a_thousand_first_calls_are_one_greeting() {
    let server = sh(LEGACY);
    let upstream = connect(&server);
    let all = futures_util::future::join_all((0..1000).map(|_| ask(&upstream, "tools/list"))).await;
    for outcome in all {
        assert_eq!(outcome.unwrap().result().unwrap().as_str(), r#"{"greeted":1}"#);
    }
    ended(server, upstream).await;
}

#[tokio::test]
async fn a_crash_fails_what_was_sent_and_the_server_is_back_soon() {
    let server = sh(LEGACY);
    let upstream = connect(&server);
    ask(&upstream, "tools/list").await.unwrap();
    let error = ask(&upstream, "crash").await.unwrap_err();
    assert!(is_connection(&*error) && !never_sent(&*error), "{error:?}");
    let crashed = Instant::now();
    let back = ask(&upstream, "tools/list").await.unwrap();
    assert_eq!(back.result().unwrap().as_str(), r#"{"greeted":1}"#);
    assert!(crashed.elapsed() < Duration::from_secs(5), "{:?}", crashed.elapsed());
    ended(server, upstream).await;
}

#[tokio::test]
async fn a_server_that_exits_over_the_probe_is_served_nevertheless() {
    let server = sh(TOUCHY);
    let upstream = connect(&server);
    assert!(matches!(ask(&upstream, "tools/list").await, Ok(Outcome::Result(_))));
    assert_eq!(upstream.revision(), Some(Revision::V2024_11_05));
    ended(server, upstream).await;
}

#[tokio::test]
async fn a_child_that_cannot_live_is_a_reason_and_not_a_hang() {
    let server = sh("echo 'bad flag' >&2; exit 64");
    let upstream = connect(&server);
    let error = ask(&upstream, "tools/list").await.unwrap_err();
    assert!(never_sent(&*error) && is_connection(&*error), "{error:?}");
    assert!(upstream.fault().is_some());
    ended(server, upstream).await;
}
