//! Ten thousand clients that only listen.
//!
//! ```sh
//! cargo test --test cli -- --ignored --nocapture ten_thousand
//! ```

use crate::{
    running::{Gateway, entry},
    support::{
        clients::modern,
        peer::LISTENING,
        servers::{Kind, Running},
        soon,
    },
};
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// `LISTENERS` sets another number.
fn listeners() -> usize {
    std::env::var("LISTENERS").ok().and_then(|many| many.parse().ok()).unwrap_or(10_000)
}

fn memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A stream of changes that was opened and acknowledged.
async fn listen(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let (headers, message) = modern(json!(1), "subscriptions/listen", params);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = message.to_string();
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    heard(&mut stream, b"notifications/subscriptions/acknowledged").await;
    stream
}

/// Reads until this was said.
async fn heard(stream: &mut TcpStream, what: &[u8]) {
    let (mut read, mut space) = (Vec::new(), [0; 1024]);
    while !read.windows(what.len()).any(|window| window == what) {
        let n = stream.read(&mut space).await.unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&space[..n]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "it needs twenty thousand descriptors and both processors"]
async fn ten_thousand_clients_that_listen_cost_little_and_are_all_told_within_a_second() {
    let many = listeners();
    let server = Running::named(Kind::Modern, "one").await;
    let config = json!({ "admin": { "port": 0 }, "mcpServers": { "one": entry(&server) } });
    let mut gateway = Gateway::start("idle", &config).await;
    assert!(gateway.line().await.contains(" connected "));
    drop(listen(gateway.address).await);
    let before = memory(gateway.pid());
    let address = gateway.address;
    let mut streams: Vec<_> = stream::iter(0..many).map(|_| listen(address)).buffer_unordered(64).collect().await;
    let each = (memory(gateway.pid()) - before) / many;
    let subscriptions = server.peer.ledger.methods(LISTENING);
    server.peer.add_tool("new");
    let begun = Instant::now();
    let told = async {
        for stream in &mut streams {
            heard(stream, b"notifications/tools/list_changed").await;
        }
    };
    soon("the change at every client", told).await;
    let took = begun.elapsed();
    println!("{many} listeners: {each} bytes each, {subscriptions} subscription upstream, all told after {took:?}");
    assert!(each <= 20_000, "{each} bytes");
    assert_eq!(subscriptions, 1);
    assert!(took.as_millis() < 1000, "{took:?}");
}
