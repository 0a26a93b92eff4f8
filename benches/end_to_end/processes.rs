//! The processes in the middle: the gateway and nginx, each in front of both servers.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

/// How long a process may take to listen.
const START: Duration = Duration::from_secs(10);

/// A process, with an address for each server behind it.
pub(crate) struct Middle {
    pub(crate) addresses: [SocketAddr; 2],
    processes: Vec<Child>,
    folder: PathBuf,
}

impl Middle {
    /// A gateway for each server, so that names do not collide.
    pub(crate) async fn gateway(servers: &[SocketAddr; 2]) -> Self {
        let folder = folder("gateway");
        let addresses = [free(), free()];
        let processes = (0..2).map(|place| {
            let config = folder.join(format!("{place}.json"));
            let text = format!(
                r#"{{"port":{},"admin":{{"port":0}},"keys":["{}"],"mcpServers":{{"bench":{{"url":"http://{}/mcp"}}}}}}"#,
                addresses[place].port(),
                "k".repeat(32),
                servers[place]
            );
            fs::write(&config, text).expect("a file");
            let mut command = Command::new(env!("CARGO_BIN_EXE_tower-mcp-gateway"));
            start(command.arg("--config").arg(config))
        });
        Self { addresses, processes: processes.collect(), folder }.listening().await
    }

    /// nginx as a plain proxy with connections kept to its servers; `None` where it is not installed.
    pub(crate) async fn nginx(servers: &[SocketAddr; 2]) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|p| Path::new(p).exists())?;
        let folder = folder("nginx");
        let addresses = [free(), free()];
        let (mut upstreams, mut fronts) = (String::new(), String::new());
        for (place, server) in servers.iter().enumerate() {
            upstreams += &format!("upstream u{place} {{ server {server}; keepalive 300; }}\n");
            fronts += &format!(
                "server {{ listen {} backlog=4096; keepalive_requests 100000000; location / {{ proxy_pass http://u{place}; \
                 proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffers 8 64k; proxy_buffer_size 64k; }} }}\n",
                addresses[place]
            );
        }
        let at = folder.display();
        let text = format!(
            "daemon off; worker_processes 2; pid {at}/pid; error_log {at}/error crit;\nevents {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; \
             uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n{upstreams}{fronts} }}"
        );
        let config = folder.join("nginx.conf");
        fs::write(&config, text).expect("a file");
        let mut command = Command::new(program);
        let child = start(command.arg("-c").arg(config));
        Some(Self { addresses, processes: vec![child], folder }.listening().await)
    }

    async fn listening(self) -> Self {
        let end = Instant::now() + START;
        for address in self.addresses {
            while TcpStream::connect(address).await.is_err() {
                assert!(Instant::now() < end, "{address} is not listened on");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        self
    }

    /// The processor time that the processes and their children have taken.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(|child| of_process(child.id())).sum()
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // Asked first: a master process ends its workers.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn of_process(pid: u32) -> Duration {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Duration::ZERO };
    // What follows the name, which is in brackets and may hold anything; utime and stime are the 14th and 15th field.
    let ticks: u64 = stat
        .rsplit(')')
        .next()
        .map(|rest| rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum())
        .unwrap_or_default();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok()).map(of_process).sum::<Duration>();
    // Linux counts in hundredths of a second wherever it has been seen to run.
    Duration::from_millis(ticks * 10) + children
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process")
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tower-mcp-bench-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
