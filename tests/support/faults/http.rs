//! The misbehaving server over Streamable HTTP of either era, and over HTTP+SSE.

use super::{Fault, answer, bytes, bytes::Request, progress, routine, unknown};
use crate::support::ledger::Ledger;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};

/// How a faulty server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Streamable HTTP of 2026-07-28.
    Modern,
    /// Streamable HTTP of the `initialize` era, with sessions.
    Legacy,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

impl Wire {
    pub const ALL: [Wire; 3] = [Wire::Modern, Wire::Legacy, Wire::Sse];
}

/// A running server, dead or alive.
pub struct Faulty {
    pub wire: Wire,
    address: SocketAddr,
    state: Arc<State>,
    running: Mutex<Option<JoinSet<()>>>,
}

/// What outlives a death.
#[derive(Default)]
struct State {
    ledger: Ledger,
    /// Connections accepted, and when.
    accepted: Mutex<Vec<tokio::time::Instant>>,
    /// Sessions the server remembers.
    sessions: Mutex<HashSet<String>>,
    /// No session is known even to a call that follows its `initialize` at once.
    forgetful: AtomicBool,
    /// Nothing but `tools/call` is answered while unset; all hang if set.
    deaf: AtomicBool,
    redirect: Mutex<String>,
    endpoint: Mutex<Option<String>>,
    /// The way down the stream of each HTTP+SSE session; an empty frame cuts it.
    streams: Mutex<HashMap<String, mpsc::UnboundedSender<String>>>,
    minted: AtomicUsize,
}

impl Faulty {
    /// Starts a server on a port of its own.
    pub async fn start(wire: Wire) -> Self {
        let (state, running) = (Arc::default(), Mutex::default());
        let mut faulty = Self { wire, address: ([127, 0, 0, 1], 0).into(), state, running };
        faulty.address = faulty.listen();
        faulty
    }

    /// An address at which nobody listens yet; [`up`](Self::up) brings the server up.
    pub async fn down_at_first(wire: Wire) -> Self {
        let faulty = Self::start(wire).await;
        faulty.down().await;
        faulty
    }

    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    pub fn url(&self) -> String {
        let path = if self.wire == Wire::Sse { "sse" } else { "mcp" };
        format!("http://{}/{path}", self.address)
    }

    /// When each connection so far was accepted.
    pub fn accepted(&self) -> Vec<tokio::time::Instant> {
        self.state.accepted.lock().unwrap().clone()
    }

    /// Cuts every connection, forgets every session and refuses from then on.
    pub async fn down(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some(mut running) = running {
            running.shutdown().await;
        }
        self.forget();
        self.state.streams.lock().unwrap().clear();
    }

    pub fn is_down(&self) -> bool {
        self.running.lock().unwrap().is_none()
    }

    /// Listens again at the same address.
    pub fn up(&self) {
        self.listen();
    }

    fn listen(&self) -> SocketAddr {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option every system has");
        socket.bind(self.address).expect("the address is ours");
        let listener = socket.listen(1024).expect("listening");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut running = JoinSet::new();
        running.spawn(accept(listener, self.wire, self.state.clone()));
        *self.running.lock().unwrap() = Some(running);
        address
    }

    /// Forgets every session, as a restart without one would.
    pub fn forget(&self) {
        self.state.sessions.lock().unwrap().clear();
    }

    /// Whether sessions are forgotten as soon as they were begun.
    pub fn forgetful(&self, forgetful: bool) {
        self.state.forgetful.store(forgetful, SeqCst);
    }

    /// Whether everything is read and nothing answered.
    pub fn deaf(&self, deaf: bool) {
        self.state.deaf.store(deaf, SeqCst);
    }

    /// Where [`Fault::Redirect`] points.
    pub fn redirect_to(&self, url: &str) {
        url.clone_into(&mut self.state.redirect.lock().unwrap());
    }

    /// What the `endpoint` event says instead of the truth.
    pub fn endpoint(&self, url: Option<&str>) {
        *self.state.endpoint.lock().unwrap() = url.map(str::to_owned);
    }
}

async fn accept(listener: TcpListener, wire: Wire, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((connection, _)) = listener.accept() => {
                let _ = connection.set_nodelay(true);
                state.accepted.lock().unwrap().push(tokio::time::Instant::now());
                connections.spawn(serve(connection, wire, state.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn serve(connection: TcpStream, wire: Wire, state: Arc<State>) {
    let mut connection = BufReader::new(connection);
    while let Some(request) = bytes::read(&mut connection).await {
        if state.deaf.load(SeqCst) {
            return bytes::closed(connection.get_mut()).await;
        }
        let method = request.message["method"].as_str().unwrap_or_default();
        state.ledger.count_method(method);
        let called = method == "tools/call";
        let reply = match wire {
            Wire::Sse if request.method == "GET" => return state.stream(connection.into_inner()).await,
            Wire::Sse => {
                let Some(reply) = state.posted(&request) else {
                    return misbehave(connection.into_inner(), &request.message, &state).await;
                };
                reply
            }
            _ if request.method == "GET" => bytes::response("405 Method Not Allowed", "", ""),
            _ if request.method == "DELETE" => bytes::response("204 No Content", "", ""),
            _ if called && !state.is_lost(&request, wire) => {
                state.count(&request.message);
                match Fault::of(&request.message) {
                    Fault::None => bytes::json(&answer(&request.message)),
                    _ => return misbehave(connection.into_inner(), &request.message, &state).await,
                }
            }
            _ => state.routine(&request, wire),
        };
        if connection.get_mut().write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl State {
    fn count(&self, call: &Value) {
        self.ledger.count_call(call["params"]["arguments"]["key"].as_str().unwrap_or_default());
    }

    fn is_lost(&self, request: &Request, wire: Wire) -> bool {
        let known = request.session.as_ref().is_some_and(|id| self.sessions.lock().unwrap().contains(id));
        wire == Wire::Legacy && !known
    }

    fn mint(&self) -> String {
        let id = format!("s-{}", self.minted.fetch_add(1, SeqCst));
        if !self.forgetful.load(SeqCst) {
            self.sessions.lock().unwrap().insert(id.clone());
        }
        id
    }

    /// The answer to what is no call of a tool.
    fn routine(&self, request: &Request, wire: Wire) -> String {
        let message = &request.message;
        let opening = message["method"] == "initialize";
        if self.is_lost(request, wire) && !opening && message["method"] != "server/discover" {
            return bytes::response("404 Not Found", "", "no such session");
        }
        if message.get("id").is_none() {
            return bytes::response("202 Accepted", "", "");
        }
        let headers = match wire {
            Wire::Legacy if opening => format!("mcp-session-id: {}\r\n", self.mint()),
            _ => String::new(),
        };
        match routine(message, wire == Wire::Modern) {
            Some(result) => {
                bytes::response("200 OK", &format!("content-type: application/json\r\n{headers}"), &result.to_string())
            }
            None => bytes::json(&unknown(message)),
        }
    }

    // ===== HTTP+SSE =====

    async fn stream(&self, mut connection: TcpStream) {
        let id = format!("stream-{}", self.minted.fetch_add(1, SeqCst));
        let (sender, mut frames) = mpsc::unbounded_channel::<String>();
        self.streams.lock().unwrap().insert(id.clone(), sender);
        let endpoint = self.endpoint.lock().unwrap().clone().unwrap_or_else(|| format!("/message?s={id}"));
        let begun = format!("{}event: endpoint\ndata: {endpoint}\n\n", bytes::STREAM);
        if connection.write_all(begun.as_bytes()).await.is_err() {
            return;
        }
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => frame,
                () = gone(&connection) => None,
            };
            match frame {
                Some(frame) if !frame.is_empty() => {
                    if connection.write_all(frame.as_bytes()).await.is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.streams.lock().unwrap().remove(&id);
    }

    /// Takes a POST of HTTP+SSE; `None` if the POST itself is to misbehave.
    fn posted(self: &Arc<Self>, request: &Request) -> Option<String> {
        let id = request.path.split("s=").nth(1).unwrap_or_default();
        let Some(stream) = self.streams.lock().unwrap().get(id).cloned() else {
            return Some(bytes::response("404 Not Found", "", "no such stream"));
        };
        let message = &request.message;
        let say = |text: String| drop(stream.send(bytes::event(&text)));
        match message["method"].as_str() {
            Some("tools/call") => {
                self.count(message);
                let fault = Fault::of(message);
                match fault {
                    Fault::Hang => {}
                    Fault::StallEvent => drop(stream.send("data: {\"json".into())),
                    Fault::Cut | Fault::Close | Fault::Crash => drop(stream.send(String::new())),
                    Fault::CutEvent => {
                        progress(message, 1).into_iter().for_each(&say);
                        drop(stream.send(String::new()));
                    }
                    Fault::Comments => drip(stream.clone(), vec![": nothing\n\n".to_owned(); 600]),
                    Fault::Drip => {
                        drip(stream.clone(), bytes::event(&answer(message)).chars().map(String::from).collect());
                    }
                    Fault::HugeEvent => {
                        let flood = (0..16).map(|_| "x".repeat(1 << 20));
                        let _ = stream.send("data: ".into());
                        flood.for_each(|piece| drop(stream.send(piece)));
                        let _ = stream.send("\n\n".into());
                    }
                    Fault::Progress | Fault::Lively => lively(message, fault, stream.clone()),
                    _ => say(fault.message(message).or_else(|| posts(fault).then(String::new))?),
                }
            }
            Some(_) if message.get("id").is_some() => {
                say(routine(message, false).map_or_else(|| unknown(message), |result| result.to_string()));
            }
            _ => {}
        }
        Some(bytes::response("202 Accepted", "", ""))
    }
}

/// Whether the fault means nothing over HTTP+SSE.
fn posts(fault: Fault) -> bool {
    matches!(fault, Fault::Beyond)
}

/// One piece each 100 ms.
fn drip(stream: mpsc::UnboundedSender<String>, pieces: Vec<String>) {
    tokio::spawn(async move {
        for piece in pieces {
            if stream.send(piece).is_err() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
}

fn lively(call: &Value, fault: Fault, stream: mpsc::UnboundedSender<String>) {
    let steps = if fault == Fault::Lively { 10 } else { 200 };
    let notes: Vec<_> = (0..steps).filter_map(|step| progress(call, step)).map(|note| bytes::event(&note)).collect();
    let last = bytes::event(&answer(call));
    tokio::spawn(async move {
        for note in notes {
            if stream.send(note).is_err() {
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
        let _ = stream.send(last);
    });
}

async fn gone(connection: &TcpStream) {
    // Nothing is sent up a stream, so whatever can be read is its end.
    let mut byte = [0];
    let _ = connection.peek(&mut byte).await;
}

/// A response of HTTP that is not as it should be; takes the connection with it.
async fn misbehave(mut connection: TcpStream, call: &Value, state: &State) {
    use bytes::{FLOOD, STREAM, closed, event, flood, json, response};

    let fault = Fault::of(call);
    let say = async |connection: &mut TcpStream, text: &str| {
        // A client that is gone hears nothing.
        let _ = connection.write_all(text.as_bytes()).await;
    };
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"jsonrpc\":";
    match fault {
        Fault::StallHead => say(&mut connection, "HTTP/1.1 200 OK\r\ncontent-").await,
        Fault::StallBody => say(&mut connection, half).await,
        Fault::StallEvent => say(&mut connection, &format!("{STREAM}data: {{\"json")).await,
        Fault::Cut => return say(&mut connection, half).await,
        Fault::CutEvent => {
            let note = progress(call, 1).unwrap_or_else(|| {
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#.into()
            });
            return say(&mut connection, &format!("{STREAM}{}", event(&note))).await;
        }
        Fault::Reset => return drop(bytes::reset(connection)),
        Fault::Close | Fault::Crash => return,
        Fault::Status500 => return say(&mut connection, &response("500 Oops", "", "no")).await,
        Fault::Status503 => return say(&mut connection, &response("503 Busy", "retry-after: 1\r\n", "no")).await,
        Fault::Status404 => return say(&mut connection, &response("404 Not Found", "", "no such page")).await,
        Fault::GarbageHead => return say(&mut connection, "\u{1}\u{2} no HTTP at all\r\n\r\n\r\n").await,
        Fault::Empty => return say(&mut connection, &json("")).await,
        Fault::WrongType => {
            return say(&mut connection, &response("200 OK", "content-type: text/html\r\n", "<html></html>")).await;
        }
        Fault::HugeBody => {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {FLOOD}\r\n\r\n\"");
            say(&mut connection, &head).await;
            flood(&mut connection, &[b'x'; 1 << 16]).await;
        }
        Fault::HugeEvent => {
            say(&mut connection, &format!("{STREAM}data: \"")).await;
            flood(&mut connection, &[b'x'; 1 << 16]).await;
        }
        Fault::GzipBomb => {
            let bomb = bytes::gzip_bomb();
            let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
            let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", bomb.len());
            say(&mut connection, &head).await;
            let _ = connection.write_all(&bomb).await;
        }
        Fault::HeaderBomb => {
            say(&mut connection, "HTTP/1.1 200 OK\r\n").await;
            flood(&mut connection, "x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(512).as_bytes()).await;
        }
        Fault::Endless1xx => {
            while connection.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await.is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        Fault::Redirect => {
            let location = format!("location: {}\r\n", state.redirect.lock().unwrap());
            return say(&mut connection, &response("307 Temporary Redirect", &location, "")).await;
        }
        Fault::Beyond => {
            let forged = call["id"].as_u64().unwrap_or_default() + 1;
            let forged = format!(r#"{{"jsonrpc":"2.0","id":{forged},"result":{{"content":[]}}}}"#);
            say(&mut connection, &format!("{}{}", json(&answer(call)), json(&forged))).await;
        }
        Fault::Comments | Fault::Drip | Fault::Progress | Fault::Lively => {
            let (sender, mut frames) = mpsc::unbounded_channel();
            match fault {
                Fault::Comments => drip(sender, vec![": nothing\n\n".to_owned(); 600]),
                Fault::Drip => drip(sender, event(&answer(call)).chars().map(String::from).collect()),
                _ => lively(call, fault, sender),
            }
            say(&mut connection, STREAM).await;
            loop {
                tokio::select! {
                    frame = frames.recv() => match frame {
                        Some(frame) => say(&mut connection, &frame).await,
                        None => return,
                    },
                    () = gone(&connection) => break,
                }
            }
        }
        Fault::Hang => {}
        Fault::Slow => {
            sleep(Duration::from_millis(500)).await;
            return say(&mut connection, &json(&answer(call))).await;
        }
        _ => return say(&mut connection, &json(&fault.message(call).unwrap_or_default())).await,
    }
    closed(&mut connection).await;
    state.ledger.count_abandoned();
}
