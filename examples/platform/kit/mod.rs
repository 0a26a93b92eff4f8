//! As much of an MCP server as the platform's servers need: the dialogue of revision 2024-11-05 over HTTP+SSE and stdio.
//!
//! A server says who it is and answers requests ([`Server`]); [`sse::router`] and [`stdio::run`] carry that to a wire.

pub(crate) mod rpc;
pub(crate) mod sse;
pub(crate) mod stdio;

use std::future::Future;

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

/// The revisions of the `initialize` era, oldest first. HTTP+SSE belongs to the first and carries them all.
pub(crate) const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// What a server is, without its transport.
pub(crate) trait Server: Send + Sync + 'static {
    /// The name in `serverInfo`.
    fn name(&self) -> String;

    /// The `capabilities` in the answer to `initialize`.
    fn capabilities(&self) -> Value;

    /// Answers one request; dropped when the client cancels it or goes away.
    fn request(&self, request: Request) -> impl Future<Output = Result<Value, Fault>> + Send;

    /// Hears of each notification from a client.
    fn notified(&self, _method: &str, _params: &Value) {}

    /// Hears of each answer from a client to a request of the server's own.
    fn answered(&self, _answer: &Value) {}

    /// Notifications for every client that is connected, if the server ever has some.
    fn notifications(&self) -> Option<broadcast::Receiver<Value>> {
        None
    }
}

/// A request with the way back for its progress.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) params: Value,
    pub(crate) notes: mpsc::UnboundedSender<Value>,
}

impl Request {
    /// Sends `notifications/progress` if the client asked for it.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        let Some(token) = self.params.pointer("/_meta/progressToken") else { return };
        let params = json!({ "progressToken": token, "progress": done, "total": total });
        // A client that is gone wants no progress.
        let _ = self.notes.send(json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }));
    }

    /// The text of a named argument of a tool.
    pub(crate) fn text(&self, argument: &str) -> Result<&str, Fault> {
        let value = self.params.get("arguments").and_then(|arguments| arguments.get(argument));
        value.and_then(Value::as_str).ok_or_else(|| Fault::params(format!("{argument} must be a string")))
    }
}

/// A JSON-RPC error.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Fault {
    /// The method does not exist here.
    pub(crate) fn method(name: &str) -> Self {
        Self { code: -32601, message: format!("no method {name}"), data: None }
    }

    /// The parameters do not fit.
    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self { code: -32602, message: message.into(), data: None }
    }

    /// The resource is not there, in the words of the `initialize` era.
    pub(crate) fn resource(uri: &str) -> Self {
        Self { code: -32002, message: "resource not found".into(), data: Some(json!({ "uri": uri })) }
    }
}

/// A tool's result that is one text.
pub(crate) fn text(text: impl Into<String>) -> Value {
    json!({ "content": [{ "type": "text", "text": text.into() }] })
}

/// A tool's result that tells of a failure of the tool itself.
pub(crate) fn failed(reason: impl Into<String>) -> Value {
    json!({ "content": [{ "type": "text", "text": reason.into() }], "isError": true })
}

/// An entry of `tools/list` whose arguments are all required strings.
pub(crate) fn tool(name: &str, description: &str, arguments: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> =
        arguments.iter().map(|argument| (argument.to_string(), json!({ "type": "string" }))).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": arguments });
    json!({ "name": name, "description": description, "inputSchema": schema })
}
