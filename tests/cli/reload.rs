//! The configuration changes while the program serves.

use crate::{
    running::{Gateway, child, children, lives},
    support::{clients::Raw, soon},
};
use futures_util::{StreamExt, stream};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};
use tokio::time::sleep;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name).join("tower-mcp-gateway.json")
}

/// What the gateway says of the next reload.
async fn reloaded(gateway: &mut Gateway) -> String {
    loop {
        let line = gateway.line().await;
        if line.contains("reloaded") {
            return line;
        }
    }
}

async fn answers(gateway: &Gateway, name: &str) -> bool {
    let called = gateway.post("tools/call", json!({ "name": name })).await.collect().await;
    called.json()["result"]["content"][0]["text"] == "files"
}

#[tokio::test]
async fn a_thousand_calls_run_through_reloads_and_unchanged_servers_keep_their_process() {
    let config =
        |more: Value| json!({ "admin": { "port": 0 }, "mcpServers": { "files": child("both"), "more": more } });
    let mut first = child("both");
    first["env"] = json!({ "N": "0" });
    let mut gateway = Gateway::start("reload", &config(first.clone())).await;
    for _ in 0..2 {
        assert!(gateway.line().await.contains(" connected "));
    }
    let before = children(gateway.pid());
    let mut said = Vec::new();
    for round in 1..=4 {
        let mut more = child("both");
        more["env"] = json!({ "N": round.to_string() });
        std::fs::write(file("reload"), config(more).to_string()).unwrap();
        gateway.signal(Signal::SIGHUP);
        let calls = stream::iter(0..250).map(|n| answers(&gateway, if n % 2 == 0 { "who" } else { "more__who" }));
        let failed = calls.buffer_unordered(8).filter(|well| std::future::ready(!well)).count().await;
        assert_eq!(failed, 0, "round {round}");
        said.push(reloaded(&mut gateway).await);
    }
    assert!(said.iter().all(|line| line == "reloaded: changed more (connection); 1 unchanged"), "{said:?}");
    let kept = || before.iter().filter(|pid| lives(**pid)).count();
    let left = async {
        while kept() > 1 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the end of the child that was replaced", left).await;
    assert_eq!(kept(), 1, "the child of the unchanged server");
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.code().await, Some(0));
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_and_a_wrong_one_changes_nothing() {
    let config = json!({ "mcpServers": { "files": child("both") } });
    let mut gateway = Gateway::start_shown("watched", &config).await;
    assert!(gateway.line().await.contains(" connected "));
    let pids = children(gateway.pid());
    std::fs::write(file("watched"), "{ \"mcpServers\": { \"files\": {} }, \"prot\": 1 }").unwrap();
    let line = reloaded(&mut gateway).await;
    assert!(line.starts_with("not reloaded, everything stays as it was: "), "{line}");
    assert!(line.contains("`prot`") && line.contains("`mcpServers.files"), "each mistake is told: {line}");
    assert!(answers(&gateway, "who").await);

    // As editors do it: a new file in the place of the old.
    let changed = json!({ "limits": { "fall": 3 }, "requestTimeout": 1000 });
    let mut config = changed.clone();
    config["mcpServers"] = json!({ "files": child("both") });
    let beside = file("watched").with_extension("new");
    std::fs::write(&beside, config.to_string()).unwrap();
    std::fs::rename(&beside, file("watched")).unwrap();
    let line = reloaded(&mut gateway).await;
    assert_eq!(line, "reloaded: 1 unchanged; requestTimeout, limits: restart to apply");
    assert_eq!(children(gateway.pid()), pids);

    std::fs::write(file("watched"), changed.to_string()).unwrap();
    let line = reloaded(&mut gateway).await;
    assert!(line.starts_with("reloaded: removed files; 0 unchanged"), "{line}");
    let counted = Raw::get(gateway.admin(), "/metrics", &[]).await.collect().await.body;
    let counted = String::from_utf8_lossy(&counted);
    for (outcome, times) in [("ok", 2), ("failed", 1)] {
        let line = format!("mcp_gateway_reloads_total{{outcome=\"{outcome}\"}} {times}");
        assert!(counted.lines().any(|is| is == line), "{line}\n{counted}");
    }
    let gone = async {
        while lives(pids[0]) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the child's end", gone).await;
}

#[tokio::test]
async fn a_stop_is_over_in_time_with_a_child_that_answers_nothing_and_ignores_sigterm() {
    let script = "trap '' TERM; while :; do sleep 1000; done";
    let stubborn = json!({ "command": "sh", "args": ["-c", script] });
    let config = json!({ "limits": { "drainTimeout": 1000 }, "mcpServers": { "stubborn": stubborn } });
    let mut gateway = Gateway::start("stubborn", &config).await;
    let started = async {
        while children(gateway.pid()).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        children(gateway.pid())
    };
    let pids = soon("a child", started).await;
    let begun = tokio::time::Instant::now();
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.code().await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(!lives(pids[0]));
}
