//! `check`: every server, what is wrong with it and what to do.

use crate::{
    command, ends, folder,
    running::{child, nowhere},
    support::{
        servers::{Kind, Running},
        soon,
    },
};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;

async fn check(name: &str, servers: &Value, args: &[&str]) -> Output {
    let folder = folder(name);
    std::fs::write(folder.join("mine.json"), json!({ "mcpServers": servers }).to_string()).unwrap();
    let mut command = Command::from(command(&folder));
    command.args(["check", "--config", "mine.json"]).args(args).kill_on_drop(true);
    soon("the end of the check", command.output()).await.unwrap()
}

#[tokio::test]
async fn every_server_has_a_row_and_a_sick_one_a_remedy() {
    let old = Running::named(Kind::Sse, "old").await;
    let secret =
        json!({ "url": "http://127.0.0.1:1/hunter2hunter2hunter2/mcp?k=hunter2", "headers": { "X-Key": "hunter2" } });
    let mut missing = json!({ "command": "a-command-that-is-nowhere", "args": ["hunter2"], "env": { "K": "hunter2" } });
    let servers = json!({
        "files": child("modern"),
        "old": { "type": "sse", "url": old.url() },
        "secret": secret,
        "missing": missing.take(),
    });
    let output = check("check", &servers, &[]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |id: &str| -> Vec<&str> {
        let line = text.lines().find(|line| line.starts_with(&format!("{id} "))).expect(id);
        line.split_whitespace().collect()
    };
    assert_eq!(row("files")[..5], ["files", "files", "stdio", "2026-07-28", "connected"], "{text}");
    assert_eq!((row("files")[6], row("files")[7]), ("ms", "7"), "{text}");
    assert_eq!(row("old")[..5], ["old", "old", "sse", "2025-11-25", "connected"], "{text}");
    assert_eq!(row("secret")[2..5], ["http", "-", "error"], "{text}");
    let told = [
        "the command was not found",
        "`which a-command-that-is-nowhere` prints it",
        "a-command-that-is-nowhere *** (K=***)",
        "start the server, or correct",
        "http://127.0.0.1:1/***/mcp (x-key: ***)",
        "2 of 4 not well.",
    ];
    ends(&output, 1, &told, &[]);
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn of_a_child_that_exits_at_once_it_says_with_what() {
    let exits = |code: u8| json!({ "command": "sh", "args": ["-c", format!("exit {code}")] });
    let output = check("check-exits", &json!({ "one": exits(1), "three": exits(3) }), &[]).await;
    let told = [
        "the child exited (exit status: 1)",
        "the child exited (exit status: 3)",
        "check --config mine.json --log info`",
    ];
    ends(&output, 1, &told, &[]);
}

#[tokio::test]
async fn where_all_are_well_it_says_so_and_programs_read_json() {
    let servers = json!({ "files": child("legacy") });
    ends(&check("check-well", &servers, &[]).await, 0, &["Every server is well."], &[]);
    let output = check("check-json", &servers, &["--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &json!(true)), "{report}");
    let server = &report["servers"][0];
    assert_eq!((&server["id"], &server["status"], &server["tools"]), (&json!("files"), &json!("connected"), &json!(7)));
    assert!(server["latencyMs"].is_u64() && server.get("error").is_none(), "{server}");
    let output = check("check-json-ill", &json!({ "down": nowhere() }), &["--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &json!(false)));
    assert!(report["servers"][0]["remedy"].as_str().unwrap().contains("start the server"), "{report}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_beyond_the_time_that_is_given() {
    let silent = json!({ "silent": { "command": "sleep", "args": ["600"] } });
    let output = check("check-silent", &silent, &["--timeout", "1"]).await;
    ends(&output, 1, &["no answer within 1 s", "startTimeout"], &[]);
}

#[tokio::test]
async fn a_mistake_of_the_file_ends_it() {
    let output = check("check-mistake", &json!({ "files": {} }), &[]).await;
    ends(&output, 2, &[], &["`mcpServers.files"]);
}
