//! What every test server does, whatever wire it is on.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{
    asking::{self, Asking},
    kit::{Fault, Request, Server, failed, text, tool},
    ledger::Ledger,
};

/// The message of the JSON-RPC error of tool `error`.
pub const ERROR: (i64, &str) = (-31999, "this tool always answers with an error");

/// A schema in a spelling that no writer of JSON would choose; it must arrive as it is. See [`exact`].
pub const EXACT: &str =
    r##"{ "type":"object","z":1.50e+1, "a":{"$ref":"#\/$defs\/é"},"$defs":{"é":{"const":"\u00e9"}} }"##;

/// How many notifications a slow listener may fall behind before it misses some.
const MISSED_NOTIFICATIONS: usize = 16;

/// What the [`Ledger`] calls the opening of a stream that will carry news.
pub const LISTENING: &str = "(listening)";
/// What the ledger of a server calls the end of a session by its client.
pub const LEAVING: &str = "(leaving)";

/// Stands for [`EXACT`] until the message is written.
const EXACT_MARK: &str = "\u{1}exact\u{1}";

/// A server with tools `echo`, `slow`, `fail`, `error`, `big`, `who` and `hang`, a prompt, a resource and a template.
#[derive(Debug)]
pub struct Peer {
    name: String,
    page: usize,
    extra: Mutex<Vec<Value>>,
    pub(super) asking: Option<Asking>,
    pub ledger: Ledger,
    pub(super) news: broadcast::Sender<Value>,
}

impl Peer {
    /// A peer that calls itself `name` and lists its tools three at a time.
    pub fn new(name: &str) -> Arc<Self> {
        Self::with_page(name, 3)
    }

    /// A peer whose lists come in pages of `page` entries.
    pub fn with_page(name: &str, page: usize) -> Arc<Self> {
        Arc::new(Self::build(name, page))
    }

    /// A peer that can also ask its clients, log, and tell of its resources: see [`asking`](super::asking).
    pub fn asking(name: &str) -> Arc<Self> {
        Arc::new(Self { asking: Some(Asking::default()), ..Self::build(name, 3) })
    }

    fn build(name: &str, page: usize) -> Self {
        let news = broadcast::Sender::new(MISSED_NOTIFICATIONS);
        Self { name: name.into(), page, extra: Mutex::default(), asking: None, ledger: Ledger::default(), news }
    }

    /// Adds a tool that answers as `echo` does, and tells every client that the list changed.
    pub fn add_tool(&self, name: &str) {
        self.add_entry(tool(name, "Added while the server ran.", &["text"]));
    }

    /// Adds a tool whose `inputSchema` is [`EXACT`] to the byte, over those wires that [`exact`] writes.
    pub fn add_exact_tool(&self, name: &str) {
        self.add_entry(json!({ "name": name, "inputSchema": EXACT_MARK }));
    }

    /// Removes a tool that was added, and tells every client.
    pub fn remove_tool(&self, name: &str) {
        self.extra.lock().unwrap().retain(|entry| entry["name"] != name);
        self.changed();
    }

    fn add_entry(&self, entry: Value) {
        self.extra.lock().unwrap().push(entry);
        self.changed();
    }

    fn changed(&self) {
        // Nobody listens yet: whoever comes later lists anyway.
        let _ = self.news.send(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    }

    /// All tools, in the order they are listed.
    pub fn tools(&self) -> Vec<Value> {
        let mut who = tool("who", "Says which server answers.", &[]);
        who["title"] = json!("Who?");
        who["annotations"] = json!({ "readOnlyHint": true, "x-unheard-of": [1, null] });
        who["_meta"] = json!({ "example.com/colour": "blue" });
        let number = |name: &str, what: &str, argument: &str| {
            let mut tool = tool(name, what, &[]);
            tool["inputSchema"]["properties"][argument] = json!({ "type": "integer" });
            tool
        };
        let mut tools = vec![
            tool("echo", "Gives the text back.", &["text"]),
            number("slow", "Reports progress in steps, then answers.", "steps"),
            tool("fail", "Fails as a tool.", &[]),
            tool("error", "Fails as a request.", &[]),
            number("big", "Answers with many bytes.", "bytes"),
            who,
            tool("hang", "Never answers.", &[]),
        ];
        if self.asking.is_some() {
            tools.extend(asking::tools());
        }
        tools.extend(self.extra.lock().unwrap().iter().cloned());
        tools
    }

    /// The page of a list that the cursor in `params` names.
    fn paged(&self, key: &str, entries: Vec<Value>, params: &Value) -> Result<Value, Fault> {
        let start = match params.get("cursor").and_then(Value::as_str) {
            None => 0,
            Some(cursor) => {
                let at = cursor.strip_prefix("from-").and_then(|at| at.parse().ok());
                at.filter(|at| *at <= entries.len()).ok_or_else(|| Fault::params("no such cursor"))?
            }
        };
        let end = entries.len().min(start + self.page);
        let mut result = json!({ key: entries[start..end] });
        if end < entries.len() {
            result["nextCursor"] = json!(format!("from-{end}"));
        }
        Ok(result)
    }

    async fn call(&self, request: &Request) -> Result<Value, Fault> {
        let name = request.params["name"].as_str().unwrap_or_default();
        self.ledger.count_call(name);
        let number = |argument: &str| request.params["arguments"][argument].as_u64().unwrap_or(1);
        match name {
            "slow" => {
                let steps = number("steps");
                for step in 1..=steps {
                    request.progress(step, steps);
                    tokio::task::yield_now().await;
                }
                Ok(text(format!("{steps} steps")))
            }
            "fail" => Ok(failed("the tool failed")),
            "error" => Err(Fault { code: ERROR.0, message: ERROR.1.into(), data: Some(json!({ "peer": self.name })) }),
            "big" => Ok(text("x".repeat(usize::try_from(number("bytes")).expect("a size")))),
            "who" => Ok(text(&self.name)),
            "hang" => {
                let _abandoned = Abandoned(&self.ledger);
                pending().await
            }
            "echo" => Ok(text(request.text("text")?)),
            _ if self.asking.is_some() && asking::TOOLS.contains(&name) => asking::call(self, name, request).await,
            added if self.extra.lock().unwrap().iter().any(|entry| entry["name"] == added) => {
                Ok(text(request.text("text")?))
            }
            _ => Err(Fault::params(format!("unknown tool {name}"))),
        }
    }

    fn read(&self, params: &Value) -> Result<Value, Fault> {
        let uri = params["uri"].as_str().unwrap_or_default();
        let own = format!("test://{}/", self.name);
        match uri.strip_prefix(&own) {
            Some(path) if path == "fixed" || path.starts_with("any/") => Ok(json!({
                "contents": [{ "uri": uri, "mimeType": "text/plain", "text": format!("{} at {path}", self.name) }],
            })),
            _ => Err(Fault::resource(uri)),
        }
    }
}

impl Server for Peer {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn capabilities(&self) -> Value {
        let mut capabilities = json!({ "tools": { "listChanged": true }, "prompts": {}, "resources": {} });
        if self.asking.is_some() {
            capabilities["resources"] = json!({ "subscribe": true });
            capabilities["logging"] = json!({});
            capabilities["completions"] = json!({});
        }
        capabilities
    }

    async fn request(&self, request: Request) -> Result<Value, Fault> {
        self.ledger.count_method(&request.method);
        let name = &self.name;
        match request.method.as_str() {
            "tools/list" => self.paged("tools", self.tools(), &request.params),
            "tools/call" => self.call(&request).await,
            "prompts/list" => {
                let prompt =
                    json!({ "name": format!("{name}-greet"), "arguments": [{ "name": "who", "required": true }] });
                self.paged("prompts", vec![prompt], &request.params)
            }
            "prompts/get" if request.params["name"] == format!("{name}-greet") => {
                let words =
                    format!("Greet {} for {name}", request.params["arguments"]["who"].as_str().unwrap_or("all"));
                Ok(json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": words } }] }))
            }
            "prompts/get" => Err(Fault::params("unknown prompt")),
            "resources/list" => {
                let resource = json!({ "uri": format!("test://{name}/fixed"), "name": "fixed", "size": 7 });
                self.paged("resources", vec![resource], &request.params)
            }
            "resources/templates/list" => {
                let template = json!({ "uriTemplate": format!("test://{name}/any/{{+path}}"), "name": "any" });
                self.paged("resourceTemplates", vec![template], &request.params)
            }
            "resources/read" => self.read(&request.params),
            other => match &self.asking {
                Some(asking) => asking.request(&request),
                None => Err(Fault::method(other)),
            },
        }
    }

    fn answered(&self, answer: &Value) {
        if let Some(asking) = &self.asking {
            asking.answered(answer);
        }
    }

    fn notified(&self, method: &str, _params: &Value) {
        self.ledger.count_method(method);
    }

    fn notifications(&self) -> Option<broadcast::Receiver<Value>> {
        let news = self.news.subscribe();
        self.ledger.count_method(LISTENING);
        Some(news)
    }
}

/// Counts a call whose future was dropped.
struct Abandoned<'a>(&'a Ledger);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.count_abandoned();
    }
}

/// Writes a message, with [`EXACT`] where an exact tool stands.
pub fn exact(message: &Value) -> String {
    message.to_string().replace(&Value::from(EXACT_MARK).to_string(), EXACT)
}
