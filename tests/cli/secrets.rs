//! Where secrets must not appear, and what must not be obeyed by a terminal: everything the program says.

use crate::{
    command, folder,
    running::entry,
    support::{
        clients::{Raw, modern},
        servers::{Kind, Running},
        soon,
    },
};
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

/// In every secret, and in nothing else.
const CANARY: &str = "canary7f3a";

/// A server whose address, headers and child hold secrets, in every state a server can be in.
async fn servers(good: &Running) -> Value {
    let nowhere = "127.0.0.1:1";
    let secret = |url: String| json!({ "type": "http", "url": url, "headers": { "x-api-key": CANARY, "authorization": format!("Bearer {CANARY}") } });
    let (url, address) = (format!("{}?key={CANARY}", good.url()), good.address());
    let mut well = entry(good);
    well["url"] = json!(url);
    well["headers"] = json!({ "x-api-key": CANARY });
    json!({
        "good": well,
        "down": secret(format!("http://{CANARY}:{CANARY}@{nowhere}/{CANARY}?key={CANARY}")),
        "lost": secret(format!("http://{address}/nowhere/{CANARY}")),
        "old": { "type": "sse", "url": format!("http://{nowhere}/sse?token={CANARY}"), "headers": { "cookie": CANARY } },
        "missing": { "command": "a-command-that-is-nowhere", "args": [CANARY], "env": { "TOKEN": CANARY } },
        "ends": { "command": "sh", "args": ["-c", "exit 3", CANARY], "env": { "TOKEN": CANARY } },
        "garbles": { "command": "sh", "args": ["-c", "printf 'a\\033[2Jb\\n' >&2; echo no JSON; sleep 1000", CANARY], "env": { "TOKEN": CANARY } },
    })
}

struct Program {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    out: tokio::task::JoinHandle<String>,
}

impl Program {
    async fn start(servers: Value) -> Self {
        let folder = folder("secrets");
        let config = json!({
            "mcpServers": servers,
            "keys": [format!("{CANARY}-and-more-that-makes-a-key-of-it")],
            "auth": { "tokens": [{ "name": "one", "token": format!("{CANARY}-a-token-of-thirty-two-characters") }] },
        });
        std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
        let mut command = Command::from(command(&folder));
        let command = command
            .args(["--port", "0", "--admin", ":0", "--log", "trace"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut said, mut admin) = (String::new(), None);
        let address = loop {
            let line = soon("a first line", lines.next_line()).await.unwrap().expect("it listens");
            said += &format!("{line}\n");
            if let Some((_, address)) = line.split_once(" are shown at http://") {
                admin = Some(address.parse().unwrap());
            }
            if let Some((_, address)) = line.split_once(" listens on http://") {
                break address.trim_end_matches("/mcp").parse().unwrap();
            }
        };
        let mut errors = child.stderr.take().unwrap();
        let out = tokio::spawn(async move {
            let mut log = String::new();
            let rest = async {
                while let Ok(Some(line)) = lines.next_line().await {
                    said += &format!("{line}\n");
                }
            };
            let (_, read) = tokio::join!(rest, errors.read_to_string(&mut log));
            read.expect("UTF-8");
            said + &log
        });
        Self { child, address, admin: admin.expect("it says so first"), out }
    }

    /// What the answer to a call says, with its head.
    async fn call(&self, token: &str, method: &str, params: Value) -> String {
        let (mut headers, message) = modern(json!(1), method, params);
        headers.push(("authorization", format!("Bearer {token}")));
        headers.push(("cookie", format!("session={CANARY}")));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let raw = Raw::post(self.address, "/mcp", &headers, &message).await;
        let head = format!("{} {:?}", raw.status, raw.headers);
        format!("{head} {}", String::from_utf8_lossy(&raw.collect().await.body))
    }

    async fn page(&self, path: &str) -> String {
        String::from_utf8(Raw::get(self.admin, path, &[]).await.collect().await.body).unwrap()
    }

    /// Once every server has connected or failed.
    async fn settled(&self) {
        let settled = async {
            while Raw::get(self.address, "/readyz", &[]).await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        soon("readiness", settled).await;
    }
}

#[tokio::test]
async fn no_secret_is_said_anywhere_and_nothing_that_is_said_is_obeyed() {
    let good = Running::named(Kind::Modern, "good").await;
    let mut program = Program::start(servers(&good).await).await;
    program.settled().await;
    let token = format!("{CANARY}-a-token-of-thirty-two-characters");
    let mut said = Vec::new();
    said.push(program.call(&token, "tools/call", json!({ "name": "echo", "arguments": { "text": "hello" } })).await);
    assert!(said[0].contains("hello"), "{}", said[0]);
    for name in ["down__echo", "lost__echo", "old__x", "missing__x", "ends__x", "garbles__x", "error", "fail"] {
        said.push(program.call(&token, "tools/call", json!({ "name": name })).await);
    }
    said.push(program.call(&format!("wrong-{CANARY}"), "tools/list", json!({})).await);
    said.push(program.call(&token, "tools/list", json!({})).await);
    said.push(
        program
            .call(&token, "tools/call", json!({ "name": "echo", "requestState": CANARY, "inputResponses": {} }))
            .await,
    );
    for path in ["/servers", "/health", "/metrics"] {
        said.push(program.page(path).await);
    }
    said.push(std::fs::read_to_string(format!("/proc/{}/cmdline", program.child.id().unwrap())).unwrap());
    assert_eq!(good.peer.ledger.posts().iter().filter(|(headers, _)| headers.contains_key("cookie")).count(), 0);

    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(program.child.id().unwrap().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(soon("the end", program.child.wait()).await.unwrap().code(), Some(0));
    let log = soon("the last line", program.out).await.unwrap();
    assert!(
        log.contains("garbles") && log.contains("a\\u{1b}[2Jb"),
        "what a child writes is logged, and escaped: {log}"
    );
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log:?}");
    said.push(log);
    for text in &said {
        let found = text.find(CANARY).map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
        assert_eq!(found, None);
    }
}

#[tokio::test]
async fn a_mistake_beside_a_secret_repeats_none() {
    let folder = folder("secret-mistakes");
    let config = json!({
        "keys": [CANARY], "auth": { "tokens": [{ "name": "one", "token": CANARY, "wrong": CANARY }] },
        "mcpServers": {
            "a": { "url": format!("ftp://{CANARY}"), "headers": { "x y": CANARY, "x": format!("{CANARY}\n") } },
            "b": { "command": "b", "env": { "A=B": CANARY, "C": [CANARY] }, "args": [[CANARY]] },
        },
    });
    std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let output = Command::from(command(&folder)).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(said.contains("mcpServers.a") && said.contains("mcpServers.b"), "{said}");
    assert!(!said.contains(CANARY), "{said}");
}
