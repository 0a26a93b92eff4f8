//! Clients that send a request, check its answer, and send the next.

use crate::{processes::Process, request};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// A start that is late by more than this counts from when it was due; what is less is the slack of this program's timer.
const LATE: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2025-11-25
    Early,
    /// 2026-07-28
    Modern,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// 200 bytes there and back.
    Echo,
    /// 256 KiB back.
    Blob,
    /// Ten progress notes, then the result.
    Stream,
    /// `tools/list`.
    List,
    /// `server/discover`, of 2026-07-28.
    Discover,
    /// `initialize`, `notifications/initialized` and DELETE.
    Session,
}

/// Requests of one kind.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) era: Era,
    pub(crate) op: Op,
    /// The tool that echoes.
    pub(crate) tool: &'static str,
    pub(crate) connections: u32,
    pub(crate) time: Duration,
    /// How many a second in all, evenly; as many as go where it is `None`.
    pub(crate) rate: Option<f64>,
}

/// What came of it.
pub(crate) struct Measured {
    /// Of the process, for each request, in microseconds.
    pub(crate) cpu: f64,
    /// How long each took, sorted.
    pub(crate) took: Vec<Duration>,
}

impl Measured {
    /// The latency that this share of the requests stays below, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let at = (self.took.len() as f64 * share) as usize;
        self.took[at.min(self.took.len() - 1)].as_secs_f64() * 1e6
    }
}

impl Load {
    pub(crate) async fn run(&self, process: &Process) -> Measured {
        self.send(&mut self.open().await, process).await
    }

    /// Its clients, ready to send.
    pub(crate) async fn open(&self) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(Client::open(self).await);
        }
        clients
    }

    /// Has these clients send, and gives them back for more.
    pub(crate) async fn send(&self, clients: &mut Vec<Client>, process: &Process) -> Measured {
        let (before, begun) = (process.cpu(), Instant::now());
        let gap = self.rate.map(|rate| Duration::from_secs_f64(f64::from(self.connections) / rate));
        let running: Vec<_> = (0..)
            .zip(clients.drain(..))
            .map(|(place, client)| {
                let first = gap.map(|gap| begun + gap * place / self.connections);
                tokio::spawn(client.run(begun + self.time, first.zip(gap)))
            })
            .collect();
        let mut took = Vec::new();
        for client in running {
            let (client, times) = client.await.expect("every answer is right");
            clients.push(client);
            took.extend(times);
        }
        let cpu = process.cpu() - before;
        took.sort_unstable();
        Measured { cpu: cpu.as_secs_f64() * 1e6 / took.len() as f64, took }
    }
}

/// A connection, with the session of a client that opens one.
pub(crate) struct Client {
    stream: TcpStream,
    path: String,
    op: Op,
    request: String,
    expected: &'static [u8],
    answer: Vec<u8>,
}

impl Client {
    pub(crate) async fn open(load: &Load) -> Self {
        let stream = TcpStream::connect(load.address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let expected: &[u8] = match load.op {
            Op::List => b"tool_49\"",
            Op::Discover => b"\"supportedVersions\"",
            Op::Stream => b"done",
            Op::Session => b"",
            Op::Echo | Op::Blob => b"\"content\"",
        };
        let (path, op) = (load.path.clone(), load.op);
        let mut client = Self { stream, path, op, request: String::new(), expected, answer: Vec::new() };
        let session =
            if load.era == Era::Early && op != Op::Session { client.introduce().await } else { String::new() };
        client.request = request::of(load, &session);
        client
    }

    /// Opens a session, and gives the header line that names it, if the server issues ids.
    pub(crate) async fn introduce(&mut self) -> String {
        self.send(&request::initialize(&self.path)).await;
        assert!(memchr::memmem::find(&self.answer, b"protocolVersion").is_some(), "{}", self.shown());
        let head = String::from_utf8_lossy(&self.answer).into_owned();
        let id = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("mcp-session-id").then(|| value.to_owned())
        });
        let session = id.map_or(String::new(), |id| format!("mcp-session-id: {id}\r\n"));
        self.send(&request::initialized(&self.path, &session)).await;
        session
    }

    /// Sends until the end, at once or by the `pace`: when first, and how long after that again.
    async fn run(mut self, end: Instant, mut pace: Option<(Instant, Duration)>) -> (Self, Vec<Duration>) {
        let mut took = Vec::new();
        loop {
            let mut begun = Instant::now();
            if let Some((due, gap)) = &mut pace {
                sleep_until(*due).await;
                let now = Instant::now();
                begun = if now - *due < LATE { now } else { *due };
                *due += *gap;
            }
            if begun >= end {
                return (self, took);
            }
            self.once().await;
            took.push(begun.elapsed());
        }
    }

    /// One request of the kind that this client sends.
    pub(crate) async fn once(&mut self) {
        if self.op == Op::Session {
            let session = self.introduce().await;
            return self.send(&request::delete(&self.path, &session)).await;
        }
        let request = std::mem::take(&mut self.request);
        self.send(&request).await;
        self.request = request;
        assert!(memchr::memmem::find(&self.answer, self.expected).is_some(), "a wrong answer: {}", self.shown());
    }

    /// Sends a request whose answer is a stream, and waits for it to begin.
    pub(crate) async fn listen(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.expect("a server that reads");
        self.answer.clear();
        while End::of(&self.answer).is_none() {
            let read = self.stream.read_buf(&mut self.answer).await.expect("a server that answers");
            assert!(read > 0, "the connection ended: {}", self.shown());
        }
        assert!(self.answer.starts_with(b"HTTP/1.1 200"), "{}", self.shown());
    }

    /// Sends a request and reads the whole of its answer.
    async fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.expect("a server that reads");
        self.answer.clear();
        let mut end = None;
        loop {
            let read = self.stream.read_buf(&mut self.answer).await.expect("a server that answers");
            assert!(read > 0, "the connection ended: {}", self.shown());
            end = end.or_else(|| End::of(&self.answer));
            match end {
                Some(End::At(length)) if self.answer.len() >= length => return,
                Some(End::Chunk) if self.answer.ends_with(b"0\r\n\r\n") => return,
                _ => {}
            }
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.answer[..self.answer.len().min(600)]).into_owned()
    }
}

/// Where an answer ends.
#[derive(Clone, Copy)]
enum End {
    /// After so many bytes, the head's included.
    At(usize),
    /// With the last chunk.
    Chunk,
}

impl End {
    /// By the head, once it is there.
    fn of(answer: &[u8]) -> Option<Self> {
        let end = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let chunked = length.is_none() && head.contains("chunked");
        Some(if chunked { Self::Chunk } else { Self::At(end + length.unwrap_or_default()) })
    }
}
