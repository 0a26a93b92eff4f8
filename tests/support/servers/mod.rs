//! Servers of every kind, in this process, each on a port of its own.

mod legacy;
mod listen;
mod modern;
mod pipe;
mod post;
mod rmcp;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, serve::Listener};
use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::listen::Cuttable;
pub use self::rmcp::{Speaks, serve_stdio};
use super::{kept::Kept, kit::sse, peer::Peer};

/// A server's wire and era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP+SSE of 2024-11-05.
    Sse,
    /// Streamable HTTP, `initialize` era, with session ids.
    Legacy,
    /// Streamable HTTP, `initialize` era, without session ids, as the TS SDK v2 serves it.
    LegacySessionless,
    /// Streamable HTTP of 2026-07-28 only.
    Modern,
    /// The official Rust SDK's server, both eras or one.
    Rmcp(Speaks),
    /// Stdio, `initialize` era: what the helper program `peer pipe ADDRESS` leads to.
    Pipe,
    /// The same of 2026-07-28 only.
    ModernPipe,
}

impl Kind {
    /// Every kind that is reached by a URL.
    pub const ALL: [Kind; 7] = [
        Kind::Sse,
        Kind::Legacy,
        Kind::LegacySessionless,
        Kind::Modern,
        Kind::Rmcp(Speaks::Legacy),
        Kind::Rmcp(Speaks::Modern),
        Kind::Rmcp(Speaks::Both),
    ];

    /// The `transport` of a gateway's configuration.
    pub fn transport(self) -> &'static str {
        match self {
            Kind::Sse => "sse",
            Kind::Pipe | Kind::ModernPipe => "stdio",
            _ => "http",
        }
    }

    fn router(self, peer: &Arc<Peer>, cut: &CancellationToken) -> Router {
        match self {
            Kind::Sse => sse::router(peer.clone()),
            Kind::Legacy => legacy::router(peer.clone(), true),
            Kind::LegacySessionless => legacy::router(peer.clone(), false),
            Kind::Modern => modern::router(peer.clone()),
            Kind::Rmcp(speaks) => rmcp::router(peer.clone(), speaks, cut.child_token()),
            Kind::Pipe | Kind::ModernPipe => unreachable!("no HTTP"),
        }
    }
}

/// A running server; dropping it cuts every connection at once, as a killed process does.
#[derive(Debug)]
pub struct Running {
    pub peer: Arc<Peer>,
    pub kind: Kind,
    kept: Arc<Kept>,
    cut: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a server of `kind` that is `peer`.
    pub async fn start(kind: Kind, peer: Arc<Peer>) -> Self {
        Self::at(kind, peer, Arc::new(Kept::new()))
    }

    /// Starts a server of `kind` with a fresh peer of that name.
    pub async fn named(kind: Kind, name: &str) -> Self {
        Self::start(kind, Peer::new(name)).await
    }

    fn at(kind: Kind, peer: Arc<Peer>, kept: Arc<Kept>) -> Self {
        let cut = CancellationToken::new();
        let listener = Cuttable::new(kept.listen(), cut.clone());
        let ended = cut.clone().cancelled_owned();
        let served = match kind {
            Kind::Pipe | Kind::ModernPipe => pipes(listener, peer.clone(), kind == Kind::ModernPipe).boxed(),
            _ => {
                let router = kind.router(&peer, &cut);
                async { axum::serve(listener, router).await.expect("serving") }.boxed()
            }
        };
        let serving = tokio::spawn(async move {
            tokio::select! {
                () = served => {}
                () = ended => {}
            }
        });
        Self { peer, kind, kept, cut, serving: Some(serving) }
    }

    /// The URL to configure a gateway with: the base URL for HTTP+SSE, the endpoint otherwise.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::Sse => format!("http://{}", self.address()),
            _ => format!("http://{}/mcp", self.address()),
        }
    }

    /// The address it listens at.
    pub fn address(&self) -> SocketAddr {
        self.kept.address()
    }

    /// Dies as a killed process does: connections are cut, the port refuses.
    pub async fn kill(&mut self) {
        self.cut.cancel();
        if let Some(serving) = self.serving.take() {
            serving.await.expect("the server does not panic");
        }
    }

    /// Comes back at the same address after [`kill`](Self::kill), without memory of its sessions.
    pub async fn restart(&mut self) {
        self.kill().await;
        *self = Self::at(self.kind, self.peer.clone(), self.kept.clone());
    }
}

/// Serves whoever comes.
async fn pipes(mut listener: Cuttable, peer: Arc<Peer>, is_modern: bool) {
    loop {
        let (io, _) = Listener::accept(&mut listener).await;
        tokio::spawn(pipe::serve(io, peer.clone(), is_modern));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// The program of an example, which cargo has put beside the tests.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its program");
    let profile = test.ancestors().nth(2).expect("tests are two folders below the profile's");
    let program = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "first: cargo build --example {name}");
    program
}
