//! The processes that are measured, and those that measuring needs.

use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

/// How long a process may take to listen, and to list what two hundred servers have.
const START: Duration = Duration::from_secs(30);
/// How often it is asked whether it does.
const GLANCE: Duration = Duration::from_millis(1);

/// A process that listens; dropped, it ends.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    /// Whether what it started works for it: the workers of nginx, and not a server on stdio.
    with_children: bool,
    folder: Option<PathBuf>,
    begun: Instant,
}

impl Process {
    /// A server, or whatever else this program is by this word; `before` is a program that starts it.
    pub(crate) fn this(word: &str, before: &[&str]) -> Self {
        let words = before.iter().map(PathBuf::from);
        let mut words = words.chain([env::current_exe().expect("a program"), word.into()]);
        let mut command = Command::new(words.next().expect("a program"));
        let command = command.args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("an address");
        Self {
            address: line.trim().parse().expect("an address"),
            child,
            with_children: false,
            folder: None,
            begun: Instant::now(),
        }
    }

    /// The gateway with these servers, once it knows them; `before` is a program that starts it.
    pub(crate) async fn gateway(servers: &Value, before: &[&str]) -> Self {
        Self::starting(servers, before).ready().await
    }

    /// Another build of it, if one is named.
    pub(crate) async fn gateway_beside(servers: &Value) -> Option<Self> {
        let program = env::var_os("BESIDE_BIN")?;
        Some(Self::of_program(program.into(), servers, &[]).ready().await)
    }

    /// The same from its first moment on.
    pub(crate) fn starting(servers: &Value, before: &[&str]) -> Self {
        let gateway = env::var_os("GATEWAY_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tower-mcp-gateway").into());
        Self::of_program(gateway.into(), servers, before)
    }

    async fn ready(self) -> Self {
        while !self.is_ready().await {
            self.wait().await;
        }
        self
    }

    fn of_program(gateway: PathBuf, servers: &Value, before: &[&str]) -> Self {
        let (folder, address) = (folder(), free());
        // Two replicas may be full together before the clients of a measurement are.
        let config = json!({
            "port": address.port(), "admin": {"port": 0}, "keys": ["k".repeat(32)], "servers": servers,
            "limits": {"maxInFlightPerServer": 512, "maxSessions": 20_000}
        });
        let file = folder.join("gateway.json");
        fs::write(&file, config.to_string()).expect("a file");
        let words = before.iter().map(PathBuf::from);
        let mut words = words.chain([gateway, "--config".into(), file]);
        let mut command = Command::new(words.next().expect("a program"));
        let child = silent(command.args(words));
        Self { address, child, with_children: false, folder: Some(folder), begun: Instant::now() }
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address).await else { return false };
        let mut answer = String::new();
        let asked = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let asked = stream.write_all(asked).await;
        asked.is_ok() && stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    /// Waits until it takes connections.
    pub(crate) async fn listening(&self) {
        while TcpStream::connect(self.address).await.is_err() {
            self.wait().await;
        }
    }

    /// A moment, of those that a process may take to begin.
    async fn wait(&self) {
        assert!(self.begun.elapsed() < START, "what should listen at {} does not", self.address);
        sleep(GLANCE).await;
    }

    /// nginx as a plain proxy with connections kept to its server; `None` where it is not installed.
    pub(crate) async fn nginx(server: SocketAddr) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
        let program = program.into_iter().find(|path| Path::new(path).exists())?;
        let (folder, address) = (folder(), free());
        let at = folder.display();
        let text = format!(
            "daemon off; worker_processes auto; pid {at}/pid; error_log {at}/error crit;\nevents {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_buffer_size 1m; client_body_temp_path {at}/b; proxy_temp_path {at}/p; \
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             upstream u {{ server {server}; keepalive 512; keepalive_requests 100000000; }}\n\
             server {{ listen {address} backlog=4096; keepalive_requests 100000000; tcp_nodelay on; location / {{ \
             proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off; \
             proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 64k; }} }} }}"
        );
        let config = folder.join("nginx.conf");
        fs::write(&config, text).expect("a file");
        let child = silent(Command::new(program).arg("-c").arg(config));
        let nginx = Self { address, child, with_children: true, folder: Some(folder), begun: Instant::now() };
        nginx.listening().await;
        Some(nginx)
    }

    /// The processor time it has taken.
    pub(crate) fn cpu(&self) -> Duration {
        let mut pids = vec![self.child.id()];
        if self.with_children {
            let path = format!("/proc/{0}/task/{0}/children", self.child.id());
            let children = fs::read_to_string(path).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        pids.into_iter().map(of_threads).sum()
    }

    /// What it holds of memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first: a master process ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// By the scheduler's own account, which is exact where that of `stat` is a sample.
fn of_threads(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let account = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        account.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

fn silent(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process")
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

fn folder() -> PathBuf {
    let name = format!("tower-mcp-bench-{}-{}", std::process::id(), free().port());
    let folder = env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
