//! The misbehaving server over Streamable HTTP of either era, and over HTTP+SSE.

use super::{Fault, answer, answers::misbehave, bytes, bytes::Request, routine, unknown};
use crate::support::{kept::Kept, ledger::Ledger};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
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
    kept: Kept,
    state: Arc<State>,
    running: Mutex<Option<JoinSet<()>>>,
}

/// What outlives a death.
#[derive(Default)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    /// Connections accepted, and when.
    accepted: Mutex<Vec<tokio::time::Instant>>,
    /// Sessions the server remembers.
    sessions: Mutex<HashSet<String>>,
    /// No session is known even to a call that follows its `initialize` at once.
    forgetful: AtomicBool,
    /// Nothing but `tools/call` is answered while unset; all hang if set.
    deaf: AtomicBool,
    pub(super) redirect: Mutex<String>,
    pub(super) endpoint: Mutex<Option<String>>,
    /// The way down the stream of each HTTP+SSE session; an empty frame cuts it.
    pub(super) streams: Mutex<HashMap<String, mpsc::UnboundedSender<String>>>,
    pub(super) minted: AtomicUsize,
}

impl Faulty {
    /// Starts a server on a port of its own.
    pub async fn start(wire: Wire) -> Self {
        let faulty = Self::down_at_first(wire);
        faulty.up();
        faulty
    }

    /// An address at which nobody listens yet; [`up`](Self::up) brings the server up.
    pub fn down_at_first(wire: Wire) -> Self {
        Self { wire, kept: Kept::new(), state: Arc::default(), running: Mutex::default() }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    pub fn url(&self) -> String {
        let path = if self.wire == Wire::Sse { "sse" } else { "mcp" };
        format!("http://{}/{path}", self.kept.address())
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

    /// Listens, at the same address each time.
    pub fn up(&self) {
        let mut running = JoinSet::new();
        running.spawn(accept(self.kept.listen(), self.wire, self.state.clone()));
        *self.running.lock().unwrap() = Some(running);
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
    pub(super) fn count(&self, call: &Value) {
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
}
