//! Servers in memory behind `Builder::connect`: what they list, whether they answer, and how many calls they have.
#![allow(dead_code, unreachable_pub)]

use futures_util::{StreamExt, future::BoxFuture, stream};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};
use tokio::sync::{mpsc, watch};
use tower::Service;
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply,
    json::{Json, Params},
    registry::Server,
    reply::{Event, Note, Outcome},
    upstream::error::{Closed, Connect},
};

/// How a server behaves; what is in flight notices a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answers.
    Up,
    /// Refuses connections, and cuts those there are.
    Down,
    /// Takes everything and says nothing.
    Hung,
    /// Answers everything but calls of tools, about which it says nothing.
    Busy,
    /// Answers everything but health checks, and those when the mode changes.
    Slow,
    /// Answers everything, but breaks the protocol in calls of tools.
    Odd,
    /// Answers calls of tools with a stream that goes on until the mode changes.
    Streaming,
    /// Answers calls of tools with a first event; what follows fails as if the call had never been sent.
    Breaking(First),
    /// Panics when it is asked.
    Broken,
}

/// What comes first of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    Note,
    /// The beginning of a large result.
    Part,
}

/// The servers of one test, by id; one that nobody prepared is up and lists the tool `echo`.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Mutex<HashMap<String, Peer>>>);

/// One server, as the test sees it.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    id: String,
    mode: watch::Sender<Mode>,
    tools: watch::Sender<Vec<String>>,
    /// What it says of all its tools.
    words: Mutex<&'static str>,
    /// Calls of tools that arrived.
    calls: AtomicUsize,
    /// Handles of the connection, and calls that use it.
    open: AtomicUsize,
    in_flight: AtomicUsize,
}

impl Fleet {
    pub fn peer(&self, id: &str) -> Peer {
        let mut peers = self.0.lock().unwrap();
        peers.entry(id.to_owned()).or_insert_with(|| Peer::new(id)).clone()
    }

    /// For `Builder::connect`.
    pub fn connect(&self) -> impl Fn(&Server) -> Connection + Send + Sync + 'static {
        let fleet = self.clone();
        move |server| Connection::new(fleet.peer(server.id().as_str()))
    }
}

impl Peer {
    fn new(id: &str) -> Self {
        Self(Arc::new(Inner {
            id: id.into(),
            mode: watch::Sender::new(Mode::Up),
            tools: watch::Sender::new(vec!["echo".into()]),
            words: Mutex::new("As it is."),
            calls: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
        }))
    }

    pub fn set(&self, mode: Mode) -> &Self {
        self.0.mode.send_replace(mode);
        self
    }

    pub fn lists<const N: usize>(&self, tools: [&str; N]) -> &Self {
        self.0.tools.send_replace(tools.map(str::to_owned).to_vec());
        self
    }

    /// Describes all its tools so from now on, and tells that they changed.
    pub fn says(&self, words: &'static str) -> &Self {
        *self.0.words.lock().unwrap() = words;
        self.0.tools.send_modify(|_| {});
        self
    }

    pub fn calls(&self) -> usize {
        self.0.calls.load(SeqCst)
    }

    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(SeqCst)
    }

    /// Handles of its connection that exist.
    pub fn handles(&self) -> usize {
        self.0.open.load(SeqCst)
    }

    fn mode(&self) -> Mode {
        *self.0.mode.borrow()
    }

    async fn down(&self) {
        let _ = self.0.mode.subscribe().wait_for(|mode| *mode == Mode::Down).await;
    }

    async fn answer(self, call: Call) -> Result<Reply, BoxError> {
        match self.mode() {
            Mode::Down => return Err(Connect("it is down".into()).into()),
            Mode::Broken => panic!("this server is made to panic"),
            Mode::Hung => return self.silence().await,
            _ => {}
        }
        let result = |value: serde_json::Value| Ok(Outcome::Result(Json::from_value(&value).unwrap()).into());
        match call.method.as_str() {
            "server/discover" => {
                result(json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": true}}}))
            }
            "tools/list" => {
                let tools = self.0.tools.borrow().clone();
                let words = *self.0.words.lock().unwrap();
                let tool =
                    |name: &String| json!({"name": name, "description": words, "inputSchema": {"type": "object"}});
                result(json!({"tools": tools.iter().map(tool).collect::<Vec<_>>()}))
            }
            "subscriptions/listen" => Ok(self.changes()),
            "tools/call" => self.call().await,
            "ping" if self.mode() == Mode::Slow => {
                let _ = self.0.mode.subscribe().changed().await;
                Ok(Outcome::Accepted.into())
            }
            _ => Ok(Outcome::Accepted.into()),
        }
    }

    /// Nothing, until the mode changes and with it the connection ends.
    async fn silence(&self) -> Result<Reply, BoxError> {
        let mut mode = self.0.mode.subscribe();
        let _ = mode.changed().await;
        Err(Closed { sent: true }.into())
    }

    async fn call(self) -> Result<Reply, BoxError> {
        self.0.calls.fetch_add(1, SeqCst);
        let flight = Flight::of(&self);
        let text = json!({"content": [{"type": "text", "text": self.0.id}]});
        match self.mode() {
            Mode::Busy => self.silence().await,
            Mode::Odd => Err(tower_mcp_gateway::upstream::error::Protocol("odd".into()).into()),
            Mode::Streaming => Ok(self.stream().hold(flight)),
            Mode::Breaking(first) => Ok(breaking(first).hold(flight)),
            _ => Ok(Outcome::Result(Json::from_value(&text).unwrap()).into()),
        }
    }

    /// One note at once; then, when the mode changes, the outcome or the cut.
    fn stream(&self) -> Reply {
        let mut mode = self.0.mode.subscribe();
        let head = stream::iter([Ok(Event::from(Note::new(Method::PROGRESS, Params::empty())))]);
        let end = async move {
            match *mode.wait_for(|mode| *mode != Mode::Streaming).await? {
                Mode::Down => Err(Closed { sent: true }.into()),
                _ => Ok(Event::Done(Outcome::Result(Json::from_static("{}")))),
            }
        };
        Reply::stream(head.chain(stream::once(end)))
    }

    fn changes(&self) -> Reply {
        let (sender, mut notes) = mpsc::unbounded_channel();
        let peer = self.clone();
        let mut tools = self.0.tools.subscribe();
        tokio::spawn(async move {
            let note = |method| Ok(Event::from(Note::new(method, Params::empty())));
            let _ = sender.send(note(Method::LISTEN_ACKNOWLEDGED));
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    () = peer.down() => {
                        let _ = sender.send(Err(Closed { sent: true }.into()));
                        return;
                    }
                    _ = tools.changed() => {
                        let _ = sender.send(note(Method::TOOLS_LIST_CHANGED));
                    }
                }
            }
        });
        Reply::stream(stream::poll_fn(move |cx| notes.poll_recv(cx)))
    }
}

fn breaking(first: First) -> Reply {
    let first = match first {
        First::Note => Event::Note(Note::new(Method::PROGRESS, Params::empty()).into()),
        First::Part => Event::Part("{\"content\":[".into()),
    };
    Reply::stream(stream::iter([Ok(first), Err(Closed { sent: false }.into())]))
}

/// A handle of the connection to a server in memory.
pub struct Connection(Peer);

impl Connection {
    fn new(peer: Peer) -> Self {
        peer.0.open.fetch_add(1, SeqCst);
        Self(peer)
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, SeqCst);
    }
}

impl Service<Call> for Connection {
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(self.0.clone().answer(call))
    }
}

/// A call of a tool that is not over.
struct Flight(Peer);

impl Flight {
    fn of(peer: &Peer) -> Self {
        peer.0.in_flight.fetch_add(1, SeqCst);
        Self(peer.clone())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, SeqCst);
    }
}

/// A server of this id in the pool of this name; how it would be reached does not matter here.
pub fn server(id: &str, name: &str) -> Server {
    Server::http(id, name, "http://localhost/mcp").unwrap()
}

pub fn tool(name: &str) -> Call {
    Call::new(Method::TOOLS_CALL, Params::from_value(&json!({"name": name, "arguments": {}})).unwrap())
}

/// Who answered a call of a tool.
pub async fn who(reply: Reply) -> String {
    match reply.outcome().await.unwrap() {
        Outcome::Result(json) => {
            let value: serde_json::Value = json.read().unwrap();
            value["content"][0]["text"].as_str().unwrap_or_default().to_owned()
        }
        other => panic!("{other:?}"),
    }
}
