//! One client's dialogue with a server, whatever carries it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{Fault, REVISIONS, Request, Server};

/// One client: what it says goes in, what it is told comes out of the channel.
pub(crate) struct Dialogue<S> {
    server: Arc<S>,
    out: mpsc::UnboundedSender<Value>,
    running: Arc<Mutex<HashMap<String, AbortHandle>>>,
}

impl<S: Server> Dialogue<S> {
    /// Starts a dialogue whose side of the server is read from the receiver.
    pub(crate) fn new(server: Arc<S>) -> (Self, mpsc::UnboundedReceiver<Value>) {
        let (out, told) = mpsc::unbounded_channel();
        if let Some(mut news) = server.notifications() {
            let out = out.clone();
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        note = news.recv() => match note {
                            Ok(note) => drop(out.send(note)),
                            Err(_) => return,
                        },
                        () = out.closed() => return,
                    }
                }
            });
        }
        (Self { server, out, running: Arc::default() }, told)
    }

    /// Takes one message and returns at once; an answer follows through the channel.
    pub(crate) fn hear(&self, message: Value) {
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let params = message.get("params").cloned().unwrap_or_else(|| json!({}));
        if method.is_empty() {
            self.server.answered(&message);
            return;
        }
        let Some(id) = message.get("id").cloned() else {
            self.notified(&method, &params);
            return;
        };
        let key = id.to_string();
        let (server, out, running) = (self.server.clone(), self.out.clone(), self.running.clone());
        let request = Request { method, params, notes: out.clone() };
        let mut entries = self.running.lock().unwrap();
        let task = tokio::spawn(async move {
            let answer = response(&id, answer(&*server, request).await);
            running.lock().unwrap().remove(&id.to_string());
            let _ = out.send(answer);
        });
        entries.insert(key, task.abort_handle());
    }

    fn notified(&self, method: &str, params: &Value) {
        if method == "notifications/cancelled"
            && let Some(call) = self.running.lock().unwrap().remove(&params["requestId"].to_string())
        {
            call.abort();
        }
        self.server.notified(method, params);
    }
}

/// A client that is gone hears no answer, so what still runs for it stops.
impl<S> Drop for Dialogue<S> {
    fn drop(&mut self) {
        for (_, call) in self.running.lock().unwrap().drain() {
            call.abort();
        }
    }
}

/// Answers the requests that are alike for every server, and asks the server for the others.
pub(crate) async fn answer<S: Server>(server: &S, request: Request) -> Result<Value, Fault> {
    match request.method.as_str() {
        "initialize" => Ok(initialize(server, &request.params)),
        "ping" => Ok(json!({})),
        _ => server.request(request).await,
    }
}

fn initialize<S: Server>(server: &S, params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let revision = REVISIONS.iter().find(|known| **known == asked).unwrap_or(&REVISIONS[REVISIONS.len() - 1]);
    json!({
        "protocolVersion": revision,
        "capabilities": server.capabilities(),
        "serverInfo": { "name": server.name(), "version": env!("CARGO_PKG_VERSION") },
    })
}

/// The frame of an answer.
pub(crate) fn response(id: &Value, answer: Result<Value, Fault>) -> Value {
    match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(Fault { code, message, data }) => {
            let mut error = json!({ "code": code, "message": message });
            if let Some(data) = data {
                error["data"] = data;
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    }
}
