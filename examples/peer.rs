//! A small MCP server over stdio, made with the official Rust SDK, for the wire tests to launch.
//!
//! ```sh
//! peer NAME legacy|modern|both|plain   # `plain`: not by the SDK, and of the `initialize` era
//! peer NAME asking                     # the same, and asks its clients
//! peer pipe ADDRESS                    # passes every byte on to a server at that address, and back
//! peer faults LEDGER                   # misbehaves as each call asks for, and writes down what arrived
//! ```

#[path = "../tests/support/mod.rs"]
mod support;

use support::{
    kit,
    peer::Peer,
    servers::{Speaks, serve_stdio},
};
use tokio::net::TcpStream;

async fn pipe(address: &str) {
    let (mut from, mut to) = TcpStream::connect(address).await.expect("a server").into_split();
    let (mut stdin, mut stdout) = (tokio::io::stdin(), tokio::io::stdout());
    tokio::select! {
        _ = tokio::io::copy(&mut stdin, &mut to) => {}
        _ = tokio::io::copy(&mut from, &mut stdout) => {}
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, era] = &args[..] else { panic!("usage: peer NAME legacy|modern|both|plain, or: peer faults LEDGER") };
    if name == "faults" {
        return support::faults::run(era).await;
    }
    if name == "pipe" {
        return pipe(era).await;
    }
    let peer = Peer::new(name);
    match era.as_str() {
        "legacy" => serve_stdio(peer, Speaks::Legacy).await,
        "modern" => serve_stdio(peer, Speaks::Modern).await,
        "both" => serve_stdio(peer, Speaks::Both).await,
        "asking" => kit::stdio::run(Peer::asking(name)).await.expect("stdin and stdout work"),
        "plain" => kit::stdio::run(peer).await.expect("stdin and stdout work"),
        other => panic!("no era {other}"),
    }
}
