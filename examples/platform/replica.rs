//! A server as a process of its own, so that it can really be killed.

use std::{io, net::SocketAddr, process::Stdio, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpListener,
    process::{Child, ChildStdin, Command},
};

use crate::kit::{Server, sse};

/// A running child that serves HTTP+SSE.
pub(crate) struct Replica {
    args: Vec<String>,
    address: SocketAddr,
    child: Child,
    // The child ends when this closes, so none outlives the example, however it dies.
    _leash: Option<ChildStdin>,
}

impl Replica {
    /// Starts this program again with `args` and a port to bind, and waits until it listens.
    pub(crate) async fn start(args: &[&str]) -> io::Result<Self> {
        Self::spawn(args.iter().map(ToString::to_string).collect(), 0).await
    }

    /// Starts a replica that was killed, at the address it had.
    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        *self = Self::spawn(self.args.clone(), self.address.port()).await?;
        Ok(())
    }

    /// Kills the child as `kill -9` does and waits for its end.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// The process id, for as long as the child was not seen to end.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The base URL, as one gives it to a gateway.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn spawn(args: Vec<String>, port: u16) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(&args)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let leash = child.stdin.take();
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let address = line.and_then(|line| line.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(format!("{} did not start", args.join(" "))))?;
        Ok(Self { args, address, child, _leash: leash })
    }
}

/// The child's side: binds, says where on stdout, and serves until stdin closes.
pub(crate) async fn serve<S: Server>(server: S, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("{}", listener.local_addr()?);
    let leash = async {
        let mut rest = Vec::new();
        tokio::io::stdin().read_to_end(&mut rest).await.map(drop)
    };
    tokio::select! {
        ended = axum::serve(listener, sse::router(Arc::new(server))).into_future() => ended,
        ended = leash => ended,
    }
}
