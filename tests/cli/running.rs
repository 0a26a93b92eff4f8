//! The program with servers behind it: what it prints, what it serves, and how it ends.

use crate::{
    command, folder,
    support::{
        PATIENCE,
        clients::{Raw, modern},
        servers::{Kind, Running, example},
        soon,
    },
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// A gateway that serves, killed when the test ends before it does.
pub(crate) struct Gateway {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) address: SocketAddr,
    /// Where operators ask, if it was told to say so.
    admin: Option<SocketAddr>,
}

impl Gateway {
    pub(crate) async fn start(name: &str, config: &Value) -> Self {
        Self::start_with(name, config, |_| {}).await
    }

    /// The same, with a port for operators.
    pub(crate) async fn start_shown(name: &str, config: &Value) -> Self {
        let shape = |command: &mut std::process::Command| {
            command.args(["--admin", ":0"]);
        };
        Self::start_with(name, config, shape).await
    }

    pub(crate) async fn start_with(name: &str, config: &Value, shape: impl FnOnce(&mut std::process::Command)) -> Self {
        let folder = folder(name);
        std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
        let mut command = command(&folder);
        shape(&mut command);
        let mut command = Command::from(command);
        let chosen = command.as_std().get_args().any(|argument| argument == "--listen");
        let free = if chosen { &[][..] } else { &["--port", "0"] };
        let child = command.args(free).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = child.expect("the gateway starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut admin = None;
        let address = loop {
            let line = soon("a first line", lines.next_line()).await.unwrap().expect("it listens");
            if let Some((_, address)) = line.split_once(" are shown at http://") {
                admin = Some(address.parse().unwrap());
            }
            if let Some((_, url)) = line.split_once(" listens on http") {
                let (_, address) = url.split_once("://").unwrap();
                break address.trim_end_matches("/mcp").parse().unwrap();
            }
        };
        Self { child, lines, address, admin }
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.expect("it was started so")
    }

    pub(crate) async fn line(&mut self) -> String {
        soon("a line", self.lines.next_line()).await.unwrap().expect("a line")
    }

    /// The next line about this server, in words.
    async fn told_of(&mut self, id: &str) -> Vec<String> {
        loop {
            let line = self.line().await;
            if line.starts_with(&format!("{id} ")) {
                return line.split_whitespace().map(str::to_owned).collect();
            }
        }
    }

    pub(crate) async fn post(&self, method: &str, params: Value) -> Raw {
        let (headers, message) = modern(json!(1), method, params);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Raw::post(self.address, "/mcp", &headers, &message).await
    }

    async fn is_ready(&self) -> bool {
        Raw::get(self.address, "/readyz", &[]).await.status == 200
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) async fn code(&mut self) -> Option<i32> {
        soon("the end", self.child.wait()).await.unwrap().code()
    }
}

fn folder_of(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name)
}

/// A process of this id that is more than a name.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
}

/// The processes that `parent` has started, without its watchdog.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    started(parent).into_iter().filter(|pid| !is_watchdog(*pid)).collect()
}

pub(crate) fn is_watchdog(pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(b"watchdog")
}

/// The processes that `parent` has started.
pub(crate) fn started(parent: u32) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent_of = |pid: &u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    processes.filter(|pid| parent_of(pid) == Some(parent)).collect()
}

pub(crate) fn entry(server: &Running) -> Value {
    json!({ "type": server.kind.transport(), "url": server.url() })
}

pub(crate) fn child(era: &str) -> Value {
    json!({ "command": example("peer"), "args": ["files", era] })
}

/// A server of the initialize era that is over as soon as it is asked.
pub(crate) fn nowhere() -> Value {
    // Below what the system gives to programs, and known to no service.
    json!({ "url": "http://127.0.0.1:1/mcp" })
}

#[tokio::test]
async fn one_good_server_is_served_and_the_others_are_named_with_what_is_wrong() {
    let missing = json!({ "command": "a-command-that-is-nowhere" });
    let servers = json!({ "files": child("both"), "missing": missing, "down": nowhere() });
    let mut gateway = Gateway::start("mixed", &json!({ "mcpServers": servers })).await;
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(gateway.line().await);
    }
    told.sort();
    let [down, files, missing] = &told[..] else { unreachable!() };
    assert!(down.starts_with("down ") && down.contains(" http   error ") && down.contains("refused"), "{down}");
    assert!(files.starts_with("files ") && files.contains(" stdio  connected      7 tools"), "{files}");
    assert!(missing.starts_with("missing ") && missing.contains(" stdio  error "), "{missing}");
    assert!(missing.contains("a-command-that-is-nowhere"), "{missing}");
    while !gateway.is_ready().await {
        tokio::task::yield_now().await;
    }

    let listed = gateway.post("tools/list", json!({})).await.collect().await.json();
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 7);
    let called = gateway.post("tools/call", json!({ "name": "echo", "arguments": { "text": "héllo" } })).await;
    assert_eq!(called.collect().await.json()["result"]["content"][0]["text"], "héllo");
    opens_with_initialize(gateway.address).await;

    let started = children(gateway.pid());
    assert_eq!(started.len(), 1, "one child");
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.code().await, Some(0));
    assert!(!lives(started[0]), "no child is left behind");
}

async fn opens_with_initialize(address: SocketAddr) {
    let params =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let opened = Raw::post(address, "/", &[], &initialize).await;
    let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
    assert_eq!(opened.collect().await.json()["result"]["protocolVersion"], "2025-06-18");
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "who" } });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-06-18")];
    let called = Raw::post(address, "/", &headers, &call).await.collect().await;
    assert_eq!(called.json()["result"]["content"][0]["text"], "files");
}

/// A gateway in front of a server on which one call hangs, the call, and the child it has beside.
pub(crate) async fn with_a_call_that_hangs(name: &str) -> (Gateway, Running, tokio::task::JoinHandle<()>, u32) {
    let server = Running::named(Kind::Modern, "search").await;
    let servers = json!({ "search": entry(&server), "files": child("legacy") });
    let mut gateway = Gateway::start(name, &json!({ "mcpServers": servers })).await;
    let mut well = Vec::new();
    while well.len() < 2 {
        let line = gateway.line().await;
        assert!(line.contains(" connected "), "{line}");
        well.push(line);
    }
    let (headers, message) = modern(json!(1), "tools/call", json!({ "name": "search__hang" }));
    let address = gateway.address;
    let call = tokio::spawn(async move {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Raw::post(address, "/mcp", &headers, &message).await.collect().await;
    });
    server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
    let child = children(gateway.pid())[0];
    (gateway, server, call, child)
}

#[tokio::test]
async fn a_stop_waits_for_the_running_call_and_says_so_to_probes() {
    let (mut gateway, server, call, child) = with_a_call_that_hangs("drain").await;
    // A server is announced before its tools are known to all.
    soon("readiness", async { while !gateway.is_ready().await {} }).await;
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.line().await.starts_with("stopping"));
    assert!(!gateway.is_ready().await);
    assert!(gateway.child.try_wait().unwrap().is_none(), "a call runs");
    // The client hangs up, which ends its call.
    call.abort();
    server.peer.ledger.until(|counts| counts.abandoned == 1).await;
    assert_eq!(gateway.code().await, Some(0));
    assert!(!lives(child));
}

#[tokio::test]
async fn a_call_that_hangs_gets_an_error_when_the_drain_is_over_and_the_program_ends_in_order() {
    let server = Running::named(Kind::Modern, "search").await;
    let config = json!({ "limits": { "drainTimeout": 1000 }, "mcpServers": { "search": entry(&server) } });
    let mut gateway = Gateway::start("drained", &config).await;
    assert_eq!(gateway.told_of("search").await[3], "connected");
    let call = async {
        let answer = gateway.post("tools/call", json!({ "name": "hang" })).await;
        (answer.status, answer.collect().await.json())
    };
    let stop = async {
        server.peer.ledger.until(|counts| counts.calls.contains_key("hang")).await;
        gateway.signal(Signal::SIGTERM);
        tokio::time::Instant::now()
    };
    let ((status, answer), begun) = tokio::join!(call, stop);
    assert_eq!((status.as_u16(), &answer["error"]["data"]["reason"]), (503, &json!("shutting_down")), "{answer}");
    assert_eq!(gateway.code().await, Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(1 + 2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (second, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let (mut gateway, _server, call, child) = with_a_call_that_hangs("twice").await;
        gateway.signal(Signal::SIGTERM);
        assert!(gateway.line().await.starts_with("stopping"));
        gateway.signal(second);
        assert_eq!(gateway.code().await, Some(code));
        call.abort();
        assert!(!lives(child), "nobody else would end it");
    }
}

#[tokio::test]
async fn a_second_signal_leaves_no_child_that_ignores_the_end_of_its_stdin() {
    let line = format!("echo $$ > pid; '{}' files both; while :; do sleep 1; done", example("peer").display());
    let config = json!({ "mcpServers": { "files": { "command": "sh", "args": ["-c", line] } } });
    let mut gateway = Gateway::start("stubborn", &config).await;
    assert_eq!(gateway.told_of("files").await[3], "connected");
    let pid = std::fs::read_to_string(folder_of("stubborn").join("pid")).unwrap().trim().parse().unwrap();
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.line().await.starts_with("stopping"));
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.code().await, Some(143));
    assert!(!lives(pid), "it is gone with the gateway");
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_told_of() {
    let mut server = Running::named(Kind::Legacy, "search").await;
    let config = json!({ "healthCheckInterval": 200, "mcpServers": { "search": entry(&server) } });
    let mut gateway = Gateway::start("change", &config).await;
    assert_eq!(gateway.told_of("search").await[3..6], ["connected", "7", "tools"]);
    server.kill().await;
    assert_eq!(gateway.told_of("search").await[3], "error");
    server.restart().await;
    assert_eq!(gateway.told_of("search").await[3], "connected");
}

#[tokio::test]
async fn keys_are_made_once_and_those_that_cannot_be_kept_are_told_of() {
    let config = json!({ "mcpServers": {}, "name": "k" });
    let state = folder("keys").join(".local/state");
    drop(Gateway::start("keys", &config).await);
    let made = std::fs::read_to_string(state.join("tower-mcp-gateway/keys")).unwrap();
    assert!(made.trim().len() >= 32);
    assert!(second_start(Path::new("keys"), &config).await.iter().all(|line| !line.contains("keys")));
    assert_eq!(std::fs::read_to_string(state.join("tower-mcp-gateway/keys")).unwrap(), made);
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "in the way").unwrap();
    let told = second_start(Path::new("keys"), &config).await;
    assert!(told.iter().any(|line| line.starts_with("note: clients must open new sessions")), "{told:?}");
}

/// What a gateway in an existing folder says before it listens.
async fn second_start(name: &Path, config: &Value) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(name);
    std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let mut command = Command::from(command(&folder));
    let mut child = command.args(["--port", "0"]).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("a line");
        if line.contains(" listens on ") {
            return told;
        }
        told.push(line);
    }
}
