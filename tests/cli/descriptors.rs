//! Clients that take more than there is: descriptors, and memory for answers that nobody reads.

use crate::{
    command, folder,
    running::{Gateway, entry},
    support::{
        clients::{Raw, modern},
        servers::{Kind, Running},
        soon,
    },
};
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    time::Instant,
};

/// So few that a test can take them all.
const DESCRIPTORS: usize = 64;

/// The processor time that a process has used, user's and system's.
fn worked(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks: u64 =
        stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    // Linux counts in hundredths of a second on every machine that there is.
    Duration::from_millis(ticks * 10)
}

/// The memory that a process has now (`VmRSS:`), or the most it ever had (`VmHWM:`), in bytes.
fn memory(pid: u32, which: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A gateway that may open few files.
async fn poor(server: &Running) -> (Child, SocketAddr) {
    let folder = folder("descriptors");
    let config = json!({ "admin": { "port": 0 }, "mcpServers": { "one": entry(server) } });
    std::fs::write(folder.join("tower-mcp-gateway.json"), config.to_string()).unwrap();
    let program = command(&folder);
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" --port 0");
    shell
        .args(["-c", &script])
        .arg(program.get_program())
        .current_dir(&folder)
        .env("HOME", &folder)
        .env_remove("RUST_LOG");
    let mut child = shell.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = loop {
        let line = soon("a first line", lines.next_line()).await.unwrap().expect("it listens");
        if let Some((_, address)) = line.split_once(" listens on http://") {
            break address.trim_end_matches("/mcp").parse().unwrap();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

/// Calls on a connection that stays open; whether it was answered.
async fn call(stream: &mut TcpStream, address: SocketAddr) -> bool {
    let params = json!({ "name": "echo", "arguments": { "text": "hello" } });
    ask(stream, address, "tools/call", params).await
}

async fn ask(stream: &mut TcpStream, address: SocketAddr, method: &str, params: Value) -> bool {
    let (headers, message) = modern(json!(1), method, params);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = message.to_string();
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut read, mut space) = (Vec::new(), [0; 4096]);
    while !read.ends_with(b"}") {
        match stream.read(&mut space).await {
            Ok(n @ 1..) => read.extend_from_slice(&space[..n]),
            _ => return false,
        }
    }
    let said = String::from_utf8_lossy(&read);
    said.contains("hello") || said.contains("\"inputSchema\"")
}

#[tokio::test]
async fn out_of_descriptors_it_rests_serves_whom_it_has_and_recovers() {
    let server = Running::named(Kind::Modern, "one").await;
    let (child, address) = poor(&server).await;
    let pid = child.id().unwrap();
    let mut old = TcpStream::connect(address).await.unwrap();
    let known = async { while !call(&mut old, address).await {} };
    soon("a first answer", known).await;
    // The system completes connections that nobody accepts; they wait.
    let mut crowd = Vec::new();
    for _ in 0..2 * DESCRIPTORS {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    let open = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let full = async {
        while open() < DESCRIPTORS {
            tokio::task::yield_now().await;
        }
    };
    soon("the last descriptor", full).await;
    let before = worked(pid);
    // The passing of real time is what is tested here.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = worked(pid) - before;
    assert!(spent < Duration::from_millis(300), "{spent:?} of a second while there was nothing to do");
    // Of the gateway's own, and by a server to which a connection is open.
    for _ in 0..10 {
        assert!(soon("a list", ask(&mut old, address, "tools/list", json!({}))).await);
    }
    assert!(soon("an answer", call(&mut old, address)).await, "the connection that was there is served");
    drop(crowd);
    let begun = Instant::now();
    let mut new = TcpStream::connect(address).await.unwrap();
    assert!(soon("an answer to a new client", call(&mut new, address)).await);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A client that asks for many bytes, takes the head of the answer and reads no more.
async fn deaf(address: SocketAddr, bytes: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let (headers, message) = modern(json!(1), "tools/call", json!({ "name": "big", "arguments": { "bytes": bytes } }));
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = message.to_string();
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn twenty_clients_that_never_read_cost_what_they_asked_for_until_they_are_cut() {
    const BYTES: usize = 6_000_000;
    const DEAF: usize = 20;
    let server = Running::named(Kind::Modern, "one").await;
    let config = json!({
        "limits": { "stallTimeout": 3000 },
        "mcpServers": { "one": entry(&server) },
    });
    let mut gateway = Gateway::start_shown("deaf", &config).await;
    assert!(gateway.line().await.contains(" connected "));
    let before = memory(gateway.pid(), "VmRSS:");
    let opened = (0..DEAF).map(|_| deaf(gateway.address, BYTES));
    let clients = soon("an answer for each", futures_util::future::join_all(opened)).await;
    // Whoever reads is served meanwhile.
    let said = gateway.post("tools/call", json!({ "name": "echo", "arguments": { "text": "hello" } })).await;
    assert_eq!(said.collect().await.json()["result"]["content"][0]["text"], "hello");
    let cost = |which| memory(gateway.pid(), which).saturating_sub(before);
    let (now, most) = (cost("VmRSS:"), cost("VmHWM:"));
    println!("{DEAF} clients cost {now} bytes, and {most} at most while their answers came");
    assert!(now < 160_000_000, "{now} bytes");
    // Each answer is gathered, and then written around the id of its client.
    assert!(most < 3 * DEAF * BYTES, "{most} bytes");
    let cut = async {
        let cut = format!("what=\"stalled_client\"}} {DEAF}");
        loop {
            let body = Raw::get(gateway.admin(), "/metrics", &[]).await.collect().await.body;
            if String::from_utf8(body).unwrap().contains(&cut) {
                return;
            }
        }
    };
    soon("the end of each", cut).await;
    drop(clients);
    let _: Value = gateway.post("tools/list", json!({})).await.collect().await.json();
}

/// A body of spaces in chunks of one byte, and a message in one.
fn dust(address: SocketAddr, bytes: usize) -> Vec<u8> {
    let (headers, message) = modern(json!(1), "tools/list", json!({}));
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}");
    let message = message.to_string();
    let last = format!("{:x}\r\n{message}\r\n0\r\n\r\n", message.len());
    format!("{head}transfer-encoding: chunked\r\n\r\n{}{last}", "1\r\n \r\n".repeat(bytes)).into_bytes()
}

#[tokio::test]
async fn a_body_in_chunks_of_one_byte_costs_what_it_holds() {
    const BYTES: usize = 1 << 19;
    let server = Running::named(Kind::Modern, "one").await;
    let config = json!({ "admin": { "port": 0 }, "mcpServers": { "one": entry(&server) } });
    let mut gateway = Gateway::start("dust", &config).await;
    assert!(gateway.line().await.contains(" connected "));
    let before = memory(gateway.pid(), "VmRSS:");
    let bytes = dust(gateway.address, BYTES);
    let answer = Raw::send(gateway.address, &bytes).await;
    assert_eq!(answer.status, 200);
    let most = memory(gateway.pid(), "VmHWM:").saturating_sub(before);
    assert!(most < 20 * BYTES, "{most} bytes for a body of {BYTES}");
}
