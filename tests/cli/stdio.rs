//! The program as a stdio server, launched by the official Rust SDK's client and by hand.

use crate::{
    command, folder,
    support::{
        clients::{Mode, launch, modern},
        servers::{Kind, Running, example},
        soon,
    },
};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

/// The command in a folder with this configuration.
fn gateway(name: &str, servers: Value) -> (Command, PathBuf) {
    let folder = folder(name);
    let config = json!({ "name": "all-in-one", "healthCheckInterval": 200, "mcpServers": servers });
    std::fs::write(folder.join("mine.json"), config.to_string()).unwrap();
    let mut command = Command::from(command(&folder));
    command.args(["serve", "--stdio", "--config", "mine.json"]).stderr(Stdio::null()).kill_on_drop(true);
    (command, folder)
}

#[tokio::test]
async fn it_serves_the_sdk_as_any_stdio_server_does() {
    for mode in Mode::ALL {
        let search = Running::named(Kind::Modern, "search").await;
        let url = json!({ "type": "http", "url": search.url() });
        let (command, _) = gateway(
            "sdk",
            json!({ "files": { "command": example("peer"), "args": ["files", "legacy"] }, "search": url }),
        );
        let client = launch(mode, command).await;
        let names = client.tool_names().await;
        assert!(names.contains(&"echo".into()) && names.contains(&"search__echo".into()), "{mode:?} {names:?}");
        assert_eq!(client.text("who", json!({})).await, "files");
        assert_eq!(client.text("search__who", json!({})).await, "search");
        assert_eq!(client.text("big", json!({ "bytes": 1 << 20 })).await.len(), 1 << 20);
        assert_eq!(client.text("slow", json!({ "steps": 5 })).await, "5 steps");
        assert_eq!(client.progress(), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(client.call("fail", json!({})).await.expect("a result")["isError"], true);
        assert_eq!(client.read("test://search/fixed").await, "search at fixed");

        let client = std::sync::Arc::new(client);
        let hanging = tokio::spawn({
            let client = client.clone();
            async move { client.call("search__hang", json!({})).await.map(drop) }
        });
        search.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
        hanging.abort();
        search.peer.ledger.until(|counts| counts.abandoned == 1).await;
        assert_eq!(client.text("who", json!({})).await, "files", "{mode:?}: the client goes on");
    }
}

#[tokio::test]
async fn it_tells_a_session_that_a_list_has_changed() {
    let search = Running::named(Kind::Modern, "search").await;
    let (command, _) = gateway("changed", json!({ "search": { "url": search.url() } }));
    let client = launch(Mode::Initialize, command).await;
    assert!(!client.tool_names().await.contains(&"late".into()));
    search.peer.add_tool("late");
    client.until_tools_changed(1).await;
    assert!(client.tool_names().await.contains(&"late".into()));
    client.close().await;
}

/// All of what a gateway says to these lines, on stdout and on stderr.
async fn pipe(mut command: Command, lines: &[Value]) -> (Vec<Value>, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let both = async { tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err)) };
    let (said, told) = soon("the end of what it says", both).await;
    said.and(told).unwrap();
    assert!(soon("the end", child.wait()).await.unwrap().success(), "{err}");
    (out.lines().map(|line| serde_json::from_str(line).expect("nothing but messages")).collect(), err)
}

#[tokio::test]
async fn it_answers_what_is_in_flight_when_stdin_closes_and_leaves_no_child() {
    let (command, folder) = gateway(
        "pipe",
        json!({ "files": { "command": "sh", "args": ["-c", format!("echo $$ > pid; exec '{}' files both", example("peer").display())] } }),
    );
    let call = |id: u64, text: &str| {
        let (_, call) = modern(json!(id), "tools/call", json!({ "name": "echo", "arguments": { "text": text } }));
        call
    };
    let (mut answers, err) = pipe(command, &[call(1, "one"), call(2, "two")]).await;
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers[0]["result"]["content"][0]["text"], "one", "{answers:?}");
    assert_eq!(answers[1]["result"]["content"][0]["text"], "two");
    assert_eq!(answers.len(), 2);
    // Whether `files` is still announced depends on which comes first, its list or the end.
    assert!(err.contains("all-in-one serves stdin and stdout"), "{err}");
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    assert!(!std::path::Path::new("/proc").join(pid.trim()).exists());
}

#[tokio::test]
async fn a_call_that_hangs_does_not_keep_it_when_stdin_closes() {
    let search = Running::named(Kind::Modern, "search").await;
    let (command, folder) = gateway("hung", json!({}));
    let config = json!({ "limits": { "drainTimeout": 300 }, "mcpServers": { "search": { "url": search.url() } } });
    std::fs::write(folder.join("mine.json"), config.to_string()).unwrap();
    let begun = tokio::time::Instant::now();
    let (_, call) = modern(json!(1), "tools/call", json!({ "name": "hang" }));
    let (answers, _) = pipe(command, &[call]).await;
    assert!(answers.is_empty(), "{answers:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn with_a_port_it_serves_http_too() {
    let (mut command, _) = gateway("both", json!({}));
    command.args(["--port", "0"]);
    let (_, err) = pipe(command, &[]).await;
    assert!(err.contains("all-in-one listens on http://127.0.0.1:"), "{err}");
}

#[tokio::test]
async fn a_signal_ends_it_though_stdin_stays_open() {
    let (mut command, _) = gateway("signal", json!({}));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (_, discover) = modern(json!(1), "server/discover", json!({}));
    stdin.write_all(format!("{discover}\n").as_bytes()).await.unwrap();
    let mut answer = [0; 16];
    soon("an answer", child.stdout.as_mut().unwrap().read_exact(&mut answer)).await.unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(soon("the end", child.wait()).await.unwrap().success());
    drop(stdin);
}

/// A server that stays when its stdin closes, as many do, and ignores SIGTERM if it is `deaf`.
fn stubborn(deaf: bool) -> Value {
    let trap = if deaf { "trap '' TERM;" } else { "" };
    let line = format!("{trap} echo $$ > pid; '{}' files both; while :; do sleep 1; done", example("peer").display());
    json!({ "command": "sh", "args": ["-c", line] })
}

#[tokio::test]
async fn it_is_gone_with_its_children_before_a_client_that_left_kills_it() {
    for deaf in [false, true] {
        let (command, folder) = gateway("leave", json!({ "files": stubborn(deaf) }));
        let (_, call) = modern(json!(1), "tools/call", json!({ "name": "who" }));
        let mut command = command;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        let mut answer = [0; 16];
        soon("an answer", child.stdout.as_mut().unwrap().read_exact(&mut answer)).await.unwrap();
        drop(stdin);
        // The real time that the SDKs give: 2 s.
        let ended = tokio::time::timeout(std::time::Duration::from_secs(2), child.wait()).await;
        assert!(ended.expect("it ends in time").unwrap().success());
        let pid: u32 = std::fs::read_to_string(folder.join("pid")).unwrap().trim().parse().unwrap();
        assert!(!crate::running::lives(pid), "its child is gone, deaf or not: {deaf}");
    }
}
