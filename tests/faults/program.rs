//! The program before servers that misbehave.

use crate::{
    CONNECT, SILENCE,
    support::{
        faults::{Faulty, Wire},
        servers::example,
        soon,
    },
};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The program in front of these, killed when the test ends before it does.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    pub(crate) async fn start(name: &str, servers: Vec<Value>) -> Self {
        Self::with(name, servers, json!({})).await
    }

    /// The same under other limits than the usual ones.
    pub(crate) async fn with(name: &str, servers: Vec<Value>, limits: Value) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name);
        fs::create_dir_all(&folder).expect("a folder of the build");
        let config = json!({
            "requestTimeout": SILENCE.as_millis() as u64, "connectTimeout": CONNECT.as_millis() as u64,
            "healthCheckInterval": 1000, "admin": { "port": 0 }, "servers": servers, "limits": limits,
        });
        fs::write(folder.join("gateway.json"), config.to_string()).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
        // What it logs of so many faults is not looked at.
        command
            .args(["--config", "gateway.json", "--port", "0", "--log", "error"])
            .current_dir(&folder)
            .env("HOME", &folder);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        let line = soon("its first line", lines.next_line()).await.expect("stdout").expect("a line");
        let address = line.rsplit("http://").next().and_then(|address| address.strip_suffix("/mcp")?.parse().ok());
        // A program that cannot write what it has to say would stop.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address: address.expect("where it listens") }
    }

    /// What it has in memory now.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most it ever had.
    pub(crate) fn peak_mib(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).expect("a number of kB") >> 10
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).map_or(0, Iterator::count)
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id().expect("it runs"))
    }
}

/// A faulty server as an entry of the configuration.
pub(crate) fn remote(id: &str, name: &str, server: &Faulty) -> Value {
    let transport = if server.wire == Wire::Sse { "sse" } else { "http" };
    let connection = json!({ "type": transport, "url": server.url() });
    json!({ "id": id, "name": name, "transport": transport, "connection": connection })
}

/// The faulty child as such.
pub(crate) fn child(id: &str, name: &str, ledger: &Path) -> Value {
    let connection = json!({ "type": "stdio", "command": example("peer"), "args": ["faults", ledger] });
    json!({ "id": id, "name": name, "transport": "stdio", "connection": connection })
}
