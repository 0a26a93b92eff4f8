//! What a server does beside answering: it asks its client, logs, and tells of a resource that changed.
//!
//! Over 2026-07-28 a question is an `input_required` result; over older revisions it is a request in mid-call.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    kit::{Fault, Request, Server, failed, text, tool},
    peer::Peer,
};

/// The tools of a peer that asks.
pub const TOOLS: [&str; 6] = ["ask", "visit", "sample", "roots", "log", "touch"];

/// The levels of a log that `log` writes at, in this order.
pub const LEVELS: [&str; 3] = ["debug", "warning", "error"];

/// The address that `visit` sends its user to.
pub const PAGE: &str = "https://example.com/consent";

const META: &str = "io.modelcontextprotocol/";

/// Questions that wait for their answers, and what clients have asked to hear of.
#[derive(Debug, Default)]
pub struct Asking {
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    asked: Mutex<u64>,
    level: Mutex<Option<String>>,
    watched: Mutex<HashSet<String>>,
}

/// The entries of the tools in `tools/list`.
pub(super) fn tools() -> Vec<Value> {
    let describe = |name: &str| match name {
        "ask" => "Asks the user for a colour.",
        "visit" => "Asks the user to visit a page.",
        "sample" => "Asks the client's model.",
        "roots" => "Asks for the client's roots.",
        "log" => "Logs at several levels.",
        _ => "Tells those who watch the resource that it changed.",
    };
    TOOLS.iter().map(|name| tool(name, describe(name), &[])).collect()
}

/// Answers a call of one of the tools.
pub(super) async fn call(peer: &Peer, name: &str, request: &Request) -> Result<Value, Fault> {
    let asking = peer.asking.as_ref().expect("the tools are only listed by a peer that asks");
    let (method, params) = match name {
        "log" => return Ok(asking.log(request)),
        "touch" => return Ok(touch(peer, request)),
        "ask" => ("elicitation/create", form()),
        "visit" => ("elicitation/create", asking.page(request)),
        "sample" => ("sampling/createMessage", sample()),
        _ => ("roots/list", json!({})),
    };
    if let Some(missing) = undeclared(request, method) {
        return Err(missing);
    }
    match asking.question(request, method, params).await {
        Ok(answer) if answer.get("error").is_some() => Ok(failed(answer["error"]["message"].to_string())),
        Ok(answer) => Ok(text(answer.to_string())),
        Err(open) => Ok(open),
    }
}

impl Asking {
    /// The answer to a question, or the result that asks it.
    async fn question(&self, request: &Request, method: &str, params: Value) -> Result<Value, Value> {
        if modern(request) {
            return match request.params.pointer("/inputResponses/question") {
                Some(answer) => Ok(answer.clone()),
                None => Err(json!({
                    "resultType": "input_required",
                    "inputRequests": { "question": { "method": method, "params": params } },
                    "requestState": "the peer's own",
                })),
            };
        }
        let (answered, answer) = oneshot::channel();
        let id = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            format!("question-{asked}")
        };
        self.waiting.lock().unwrap().insert(id.clone(), answered);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        request.notes.send(message).expect("the call is open");
        let answer = answer.await.expect("the question is not forgotten");
        Ok(answer.get("result").cloned().unwrap_or(answer))
    }

    pub(super) fn answered(&self, answer: &Value) {
        let id = answer["id"].as_str().unwrap_or_default();
        if let Some(waiting) = self.waiting.lock().unwrap().remove(id) {
            // Whoever asked may have been cancelled.
            let _ = waiting.send(answer.clone());
        }
    }

    /// Requests that a peer which does not ask has no answer to.
    pub(super) fn request(&self, request: &Request) -> Result<Value, Fault> {
        let uri = request.params["uri"].as_str().unwrap_or_default().to_owned();
        match request.method.as_str() {
            "logging/setLevel" => *self.level.lock().unwrap() = request.params["level"].as_str().map(str::to_owned),
            "resources/subscribe" => drop(self.watched.lock().unwrap().insert(uri)),
            "resources/unsubscribe" => drop(self.watched.lock().unwrap().remove(&uri)),
            "completion/complete" => {
                let begun = request.params["argument"]["value"].as_str().unwrap_or_default();
                return Ok(json!({ "completion": { "values": [format!("{begun}-one"), format!("{begun}-two")] } }));
            }
            other => return Err(Fault::method(other)),
        }
        Ok(json!({}))
    }

    /// Logs at every level that is wanted.
    fn log(&self, request: &Request) -> Value {
        let wanted = if modern(request) {
            request.params["_meta"][format!("{META}logLevel")].as_str().map(str::to_owned)
        } else {
            Some(self.level.lock().unwrap().clone().unwrap_or_else(|| LEVELS[0].to_owned()))
        };
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        let lowest = wanted.and_then(|level| rank(&level)).unwrap_or(LEVELS.len());
        for level in &LEVELS[lowest..] {
            let params = json!({ "level": level, "data": format!("at {level}") });
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params });
            request.notes.send(note).expect("the call is open");
        }
        text("logged")
    }

    /// The question that sends the user to a page; older revisions name it by an id.
    fn page(&self, request: &Request) -> Value {
        let mut params = json!({ "mode": "url", "message": "Please consent", "url": PAGE });
        if !modern(request) {
            params["elicitationId"] = json!("page-1");
        }
        params
    }
}

fn form() -> Value {
    let schema = json!({ "type": "object", "properties": { "colour": { "type": "string" } }, "required": ["colour"] });
    json!({ "message": "Which colour?", "requestedSchema": schema })
}

fn sample() -> Value {
    let content = json!({ "type": "text", "text": "Name a colour." });
    json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": 10 })
}

fn touch(peer: &Peer, request: &Request) -> Value {
    let asking = peer.asking.as_ref().expect("as above");
    let uri = format!("test://{}/fixed", Server::name(peer));
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } });
    // Over 2026-07-28 each stream has a filter; the others have subscribed.
    if modern(request) || asking.watched.lock().unwrap().contains(&uri) {
        // Without an open stream nobody hears of it.
        let _ = peer.news.send(note);
    }
    text("touched")
}

/// Whether a request says of itself that it is one of 2026-07-28.
fn modern(request: &Request) -> bool {
    request.params["_meta"].get(format!("{META}protocolVersion")).is_some()
}

/// The error for a question that the client has not said it can answer; only 2026-07-28 says so in each request.
fn undeclared(request: &Request, method: &str) -> Option<Fault> {
    let capability = method.split('/').next().expect("a method has a first part");
    let declared = &request.params["_meta"][format!("{META}clientCapabilities")];
    (modern(request) && declared.get(capability).is_none()).then(|| Fault {
        code: -32021,
        message: format!("the client declares no {capability}"),
        data: Some(json!({ "requiredCapabilities": { capability: {} } })),
    })
}
