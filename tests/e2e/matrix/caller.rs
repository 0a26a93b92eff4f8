//! A client of any revision that a test can see through: what it hears is kept, and it answers what it is asked.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpStream, tcp::OwnedReadHalf},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use crate::support::clients::{Raw, modern};

const META: &str = "io.modelcontextprotocol/";

/// A client's revision, and with it the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP+SSE of 2024-11-05.
    Sse,
    /// Streamable HTTP of one of the revisions that open with `initialize`.
    Initialize(&'static str),
    /// Streamable HTTP of 2026-07-28.
    Modern,
    /// Stdio of one of the revisions that open with `initialize`.
    Pipe(&'static str),
    /// Stdio of 2026-07-28.
    ModernPipe,
}

impl Kind {
    /// Whether each request stands for itself.
    pub(crate) fn is_modern(self) -> bool {
        matches!(self, Kind::Modern | Kind::ModernPipe)
    }

    pub(crate) fn is_pipe(self) -> bool {
        matches!(self, Kind::Pipe(_) | Kind::ModernPipe)
    }
}

/// What messages come on that belong to no exchange of their own.
enum Stream {
    Events(Raw),
    Lines(Lines<BufReader<OwnedReadHalf>>),
}

impl Stream {
    async fn message(&mut self) -> Option<Value> {
        match self {
            Stream::Events(raw) => raw.message().await,
            Stream::Lines(lines) => {
                let line = lines.next_line().await.expect("stdout")?;
                Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}")))
            }
        }
    }
}

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The notifications that came before the answer.
    pub(crate) notes: Vec<Value>,
    /// The questions that were asked meanwhile, and answered.
    pub(crate) questions: Vec<Value>,
    /// The answer's frame.
    pub(crate) answer: Value,
}

/// A request that runs.
pub(crate) struct Running {
    id: Value,
    exchange: JoinHandle<()>,
}

impl Running {
    /// Closes the connection of the request, which says nothing in revisions before 2026-07-28.
    pub(crate) fn hang_up(&self) {
        self.exchange.abort();
    }
}

pub(crate) struct Caller {
    kind: Kind,
    at: SocketAddr,
    path: String,
    session: Option<String>,
    /// The stream that is open whether or not a request runs: everything of HTTP+SSE and stdio, the GET of Streamable
    /// HTTP.
    stream: Option<Stream>,
    /// Lines on their way to the stdin of the other side.
    stdin: Option<UnboundedSender<String>>,
    /// What came on that stream and was not asked for yet.
    heard: VecDeque<Value>,
    last: u64,
    /// How long the user thinks about a question.
    pub(crate) thinks: Duration,
}

impl Caller {
    /// Opens as the kind does, saying that it can answer every question.
    pub(crate) async fn open(kind: Kind, at: SocketAddr) -> Self {
        let heard = VecDeque::new();
        let (path, thinks) = ("/mcp".into(), Duration::ZERO);
        let mut caller = Self { kind, at, path, session: None, stream: None, stdin: None, heard, last: 0, thinks };
        if kind.is_pipe() {
            caller.connect().await;
        }
        let revision = match kind {
            Kind::Modern | Kind::ModernPipe => return caller,
            Kind::Sse => "2024-11-05",
            Kind::Initialize(revision) | Kind::Pipe(revision) => revision,
        };
        if kind == Kind::Sse {
            let mut stream = Raw::get(at, "/sse", &[]).await;
            let (_, endpoint) = stream.event().await.expect("an endpoint");
            caller.path = endpoint.strip_prefix(&format!("http://{at}")).unwrap_or(&endpoint).to_owned();
            caller.stream = Some(Stream::Events(stream));
        }
        let info = json!({ "name": "caller", "version": "1.0.0" });
        let params = json!({ "protocolVersion": revision, "capabilities": capabilities(), "clientInfo": info });
        let opened = caller.request("initialize", params).await;
        assert_eq!(opened.answer["result"]["protocolVersion"], revision, "{:?}", opened.answer);
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        caller.tell(&initialized).await;
        caller
    }

    /// Takes the two pipes of the other side.
    async fn connect(&mut self) {
        let (read, mut write) = TcpStream::connect(self.at).await.expect("somebody listens").into_split();
        let (stdin, mut lines) = unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if write.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        (self.stream, self.stdin) = (Some(Stream::Lines(BufReader::new(read).lines())), Some(stdin));
    }

    /// Sends what has no answer of its own, or one that comes on the stream.
    async fn tell(&self, message: &Value) {
        match &self.stdin {
            Some(stdin) => stdin.send(format!("{message}\n")).expect("the other side reads"),
            None => drop(self.post(message, &self.headers()).await),
        }
    }

    /// Opens the stream that news comes on, where it is not open already: for a tool list and for these resources.
    pub(crate) async fn listen(&mut self, uris: &[&str]) {
        match self.kind {
            Kind::Sse | Kind::Pipe(_) => {}
            Kind::Initialize(_) => {
                let stream = Raw::get(self.at, &self.path, &borrowed(&self.headers())).await;
                self.stream = Some(Stream::Events(stream));
            }
            Kind::ModernPipe => {
                let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": uris });
                let params = json!({ "notifications": wanted, "_meta": {} });
                self.tell(&modern(json!("listen"), "subscriptions/listen", params).1).await;
                self.hear("notifications/subscriptions/acknowledged").await;
                return;
            }
            Kind::Modern => {
                let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": uris });
                let params = json!({ "notifications": wanted, "_meta": {} });
                let (headers, message) = modern(json!("listen"), "subscriptions/listen", params);
                let mut stream = self.post(&message, &headers).await;
                let first = stream.message().await.expect("an acknowledgement");
                assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
                self.stream = Some(Stream::Events(stream));
                return;
            }
        }
        for uri in uris {
            let subscribed = self.request("resources/subscribe", json!({ "uri": uri })).await;
            assert!(subscribed.answer["result"].is_object(), "{}", subscribed.answer);
        }
    }

    /// The next message of a method that comes outside of requests.
    pub(crate) async fn hear(&mut self, method: &str) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(|note| note["method"] == method) {
                return self.heard.remove(at).expect("it is there");
            }
            let stream = self.stream.as_mut().expect("listening");
            let message = stream.message().await.unwrap_or_else(|| panic!("the stream ended before {method}"));
            self.heard.push_back(message);
        }
    }

    /// Sends a request, answers what is asked meanwhile, and gives back what came.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Said {
        let mut said = Said::default();
        let mut params = params;
        loop {
            let Some(open) = self.round(method, &params, &mut said).await else { return said };
            tokio::time::sleep(self.thinks).await;
            params["inputResponses"] = answers(&open["inputRequests"], &mut said.questions);
            if let Some(state) = open.get("requestState") {
                params["requestState"] = state.clone();
            }
        }
    }

    /// One request and its answer; gives the result back where that asks for input.
    async fn round(&mut self, method: &str, params: &Value, said: &mut Said) -> Option<Value> {
        self.last += 1;
        let id = json!(self.last);
        let (headers, message) = self.message(&id, method, params);
        if self.kind.is_pipe() {
            self.tell(&message).await;
            return self.read(None, &id, method, said).await;
        }
        let response = self.post(&message, &headers).await;
        if let Some(session) = response.headers.get("mcp-session-id").filter(|_| method == "initialize") {
            self.session = Some(session.to_str().expect("a session's id").to_owned());
        }
        if self.kind != Kind::Sse && !streams(&response) {
            let body = response.collect().await.body;
            said.answer = serde_json::from_slice(&body)
                .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&body)));
            return self.asks(&said.answer);
        }
        self.read(Some(response).filter(|_| self.kind != Kind::Sse), &id, method, said).await
    }

    /// Reads what comes until the answer, on the response to the request or on the stream that everything comes on.
    async fn read(&mut self, mut response: Option<Raw>, id: &Value, method: &str, said: &mut Said) -> Option<Value> {
        loop {
            let next = match &mut response {
                None => self.stream.as_mut().expect("the stream is the session").message().await,
                Some(response) => response.message().await,
            };
            let message = next.unwrap_or_else(|| panic!("no answer to {method}; before: {:?}", said.notes));
            if message["id"] == *id && message.get("method").is_none() {
                said.answer = message;
                return self.asks(&said.answer);
            }
            if message.get("id").is_some() {
                assert!(message.get("method").is_some(), "an answer that nobody waits for: {message}");
                tokio::time::sleep(self.thinks).await;
                let result = answer(&message);
                self.tell(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).await;
                said.questions.push(message);
            } else if related(&message) {
                said.notes.push(message);
            } else {
                self.heard.push_back(message);
            }
        }
    }

    /// Sends a request whose answer nobody waits for.
    pub(crate) fn begin(&mut self, method: &str, params: Value) -> Running {
        self.last += 1;
        let id = json!(self.last);
        let (headers, message) = self.message(&id, method, &params);
        if let Some(stdin) = &self.stdin {
            stdin.send(format!("{message}\n")).expect("the other side reads");
            return Running { id, exchange: tokio::spawn(std::future::ready(())) };
        }
        let (at, path) = (self.at, self.path.clone());
        let exchange = tokio::spawn(async move {
            Raw::post(at, &path, &borrowed(&headers), &message).await.collect().await;
        });
        Running { id, exchange }
    }

    /// Gives a request up as the revision does it: older ones say so, 2026-07-28 hangs up.
    pub(crate) async fn cancel(&mut self, running: Running) {
        if self.kind != Kind::Modern {
            let params = json!({ "requestId": running.id, "reason": "no longer wanted" });
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
            self.tell(&note).await;
        }
        running.exchange.abort();
    }

    /// The result, where it asks for input; nobody else but a client of 2026-07-28 knows what that is.
    fn asks(&self, answer: &Value) -> Option<Value> {
        let result = &answer["result"];
        (self.kind.is_modern() && result["resultType"] == "input_required").then(|| result.clone())
    }

    async fn post(&self, message: &Value, headers: &[(&'static str, String)]) -> Raw {
        Raw::post(self.at, &self.path, &borrowed(headers), message).await
    }

    fn message(&self, id: &Value, method: &str, params: &Value) -> (Vec<(&'static str, String)>, Value) {
        if self.kind.is_modern() {
            let (headers, mut message) = modern(id.clone(), method, params.clone());
            message["params"]["_meta"][format!("{META}clientCapabilities")] = capabilities();
            return (headers, message);
        }
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        (self.headers(), message)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let Kind::Initialize(revision) = self.kind else { return Vec::new() };
        let mut headers: Vec<_> = self.session.iter().map(|session| ("mcp-session-id", session.clone())).collect();
        // The header is of 2025-06-18; who speaks an older revision does not know it.
        if self.session.is_some() && revision >= "2025-06-18" {
            headers.push(("mcp-protocol-version", revision.to_owned()));
        }
        headers
    }
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn streams(response: &Raw) -> bool {
    let media = response.headers.get("content-type").and_then(|media| media.to_str().ok());
    media.is_some_and(|media| media.starts_with("text/event-stream"))
}

/// Whether a notification belongs to the request that runs.
fn related(note: &Value) -> bool {
    note["method"] == "notifications/progress" || note["method"] == "notifications/message"
}

fn capabilities() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

fn answers(requests: &Value, asked: &mut Vec<Value>) -> Value {
    let requests = requests.as_object().cloned().unwrap_or_default();
    let answers = requests.into_iter().map(|(key, request)| {
        let answer = answer(&request);
        asked.push(request);
        (key, answer)
    });
    answers.collect::<serde_json::Map<_, _>>().into()
}

/// What the user, or the model, says.
pub(crate) fn answer(question: &Value) -> Value {
    match question["method"].as_str() {
        Some("elicitation/create") if question["params"]["mode"] == "url" => json!({ "action": "accept" }),
        Some("elicitation/create") => json!({ "action": "accept", "content": { "colour": "teal" } }),
        Some("sampling/createMessage") => {
            json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Mauve." } })
        }
        _ => json!({ "roots": [{ "uri": "file:///home/one", "name": "one" }] }),
    }
}
