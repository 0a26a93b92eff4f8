//! `tools` and `call`: through a gateway that runs, and without one.

use crate::{
    command, ends, folder,
    running::{Gateway, child, entry, nowhere},
    support::{
        peer::Peer,
        servers::{Kind, Running},
        soon,
    },
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    process::{Output, Stdio},
};
use tokio::{io::AsyncWriteExt, process::Command};

struct Shell(PathBuf);

impl Shell {
    /// A folder with a configuration of these servers, of which no gateway runs.
    fn new(name: &str, servers: &Value) -> Self {
        let folder = folder(name);
        let config = json!({ "port": 0, "mcpServers": servers });
        std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
        Self(folder)
    }

    async fn types(&self, args: &[&str], typed: &str) -> Output {
        let mut command = Command::from(command(&self.0));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads nothing may have ended before.
        let _ = stdin.write_all(typed.as_bytes()).await;
        drop(stdin);
        soon("the end of the command", child.wait_with_output()).await.unwrap()
    }

    async fn run(&self, args: &[&str]) -> Output {
        self.types(args, "").await
    }
}

#[tokio::test]
async fn tools_are_listed_and_called_through_the_configuration() {
    let shell = Shell::new("call", &json!({ "files": child("legacy"), "down": nowhere() }));
    let without = "without the tools of down: ";
    ends(&shell.run(&["tools"]).await, 0, &["TOOL", "echo", "Gives the text back."], &[without]);
    ends(&shell.run(&["tools", "echo"]).await, 0, &["Gives the text back.", "text", "required"], &[without]);
    ends(&shell.run(&["call", "echo", "{\"text\": \"over there\"}"]).await, 0, &["over there\n"], &[]);
    ends(&shell.types(&["call", "echo", "-"], "{\"text\": \"piped\"}").await, 0, &["piped\n"], &[]);
    ends(&shell.run(&["call", "fail"]).await, 3, &["the tool failed"], &[]);
    ends(&shell.run(&["call", "error"]).await, 1, &[], &[without, "(code "]);
    ends(&shell.run(&["call", "ehco"]).await, 1, &[], &[without, "not been listed yet: down", "did you mean `echo`?"]);
    ends(&shell.run(&["call", "echo", "{text: 1}"]).await, 2, &[], &["no JSON", "single quotes"]);
    ends(&shell.run(&["call", "echo", "[]"]).await, 2, &[], &["no JSON object"]);
    ends(
        &shell.run(&["call", "slow", "{\"steps\": 2}"]).await,
        0,
        &["2 steps"],
        &["progress 1 of 2\nprogress 2 of 2\n"],
    );
}

#[tokio::test]
async fn programs_read_json() {
    let shell = Shell::new("call-json", &json!({ "files": child("modern") }));
    let tools: Value = serde_json::from_slice(&shell.run(&["tools", "--json"]).await.stdout).unwrap();
    assert_eq!(tools.as_array().unwrap().len(), 7, "{tools}");
    let result: Value = serde_json::from_slice(&shell.run(&["--json", "call", "who"]).await.stdout).unwrap();
    assert_eq!(result["content"][0]["text"], "files", "{result}");
    let failed = shell.run(&["call", "fail", "--json"]).await;
    let result: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((failed.status.code(), &result["isError"]), (Some(3), &json!(true)));
}

#[tokio::test]
async fn a_gateway_that_runs_is_asked_and_no_server_is_started_beside_it() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut search = child("legacy");
    let command = search["command"].take();
    // A command that was started for the call would fail to start.
    search["command"] = "${PEER:-nowhere}".into();
    let config = json!({ "port": port, "mcpServers": { "search": search } });
    let mut gateway = Gateway::start_with("call-running", &config, |gateway| {
        gateway.env("PEER", command.as_str().unwrap()).args(["--listen", &format!("127.0.0.1:{port}")]);
    })
    .await;
    let url = format!("http://{}/mcp", gateway.address);
    let shell = Shell(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli/call-running"));
    ends(&shell.run(&["call", "who"]).await, 0, &["files\n"], &[]);
    ends(&shell.run(&["call", "who", "--local"]).await, 1, &[], &["without the tools of search", "cannot start"]);
    // The same port and the same name, and yet another gateway's.
    let folder = folder("call-another");
    std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let shell = Shell(folder.clone());
    let passed_over = format!("note: the gateway at {url} runs with another configuration");
    ends(&shell.run(&["call", "who"]).await, 1, &[], &[&passed_over, "without the tools of search", "cannot start"]);
    std::fs::remove_file(folder.join("tower-mcp-gateway.json")).unwrap();
    ends(&shell.run(&["call", "who", "--url", &url]).await, 0, &["files\n"], &[]);
    ends(&shell.run(&["tools", "--url", &url]).await, 0, &["who", "echo"], &[]);
    gateway.signal(nix::sys::signal::Signal::SIGKILL);
    gateway.code().await;
    ends(&shell.run(&["tools", "--url", &url]).await, 1, &[], &[&url, "does a gateway run there?"]);
    ends(&shell.run(&["tools", "--url", "nowhere"]).await, 2, &[], &["--url: must begin with http://"]);
}

#[tokio::test]
async fn questions_of_a_server_of_either_era_are_answered_at_the_prompt() {
    for kind in [Kind::Legacy, Kind::Modern, Kind::Sse] {
        let search = Running::start(kind, Peer::asking("search")).await;
        let shell = Shell::new("call-asks", &json!({ "search": entry(&search) }));
        let asked = ["ask asks: Which colour?", "colour (text)"];
        let output = shell.types(&["call", "ask"], "green\n").await;
        ends(&output, 0, &["\"action\":\"accept\"", "\"colour\":\"green\""], &asked);
        ends(&shell.types(&["call", "ask"], "!\n").await, 0, &["\"action\":\"decline\""], &asked);
        ends(&shell.types(&["call", "ask"], "").await, 0, &["\"action\":\"cancel\""], &asked);
        let unattended = shell.types(&["call", "ask", "--no-input"], "green\n").await;
        ends(&unattended, 0, &["\"action\":\"cancel\""], &["nobody is there to answer"]);
        let page = shell.types(&["call", "visit"], "y\n").await;
        ends(&page, 0, &["\"action\":\"accept\""], &["Please consent", "https://example.com/consent"]);
        let sampled = shell.run(&["call", "sample"]).await;
        assert_eq!(sampled.status.code(), Some(1), "{kind:?} {}", String::from_utf8_lossy(&sampled.stdout));
        ends(&sampled, 1, &[], &["(sampling): call it from a client that has it"]);
    }
}
