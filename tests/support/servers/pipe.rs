//! Servers over stdio whose pipes end in this process: the child that a gateway launches passes every byte on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::mpsc,
    task::AbortHandle,
};

use super::modern::{META, REVISION, complete, discovered, wants};
use crate::support::{
    kit::{
        Fault, Request, Server,
        rpc::{Dialogue, response},
    },
    peer::Peer,
};

/// Serves the child at the other end of `io` until it leaves.
pub(super) async fn serve(io: impl AsyncRead + AsyncWrite + Send + 'static, peer: Arc<Peer>, is_modern: bool) {
    let (read, mut write) = tokio::io::split(io);
    let mut lines = BufReader::new(read).lines();
    let (hear, mut told): (Box<dyn Fn(Value) + Send + Sync>, _) = if is_modern {
        let (modern, told) = Modern::new(peer);
        (Box::new(move |message| modern.hear(message)), told)
    } else {
        let (dialogue, told) = Dialogue::new(peer);
        (Box::new(move |message| dialogue.hear(message)), told)
    };
    let writing = async {
        while let Some(message) = told.recv().await {
            if write.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        while let Ok(Some(line)) = lines.next_line().await {
            hear(serde_json::from_str(&line).expect("a message"));
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
}

/// A server of 2026-07-28 and nothing else.
struct Modern {
    peer: Arc<Peer>,
    out: mpsc::UnboundedSender<Value>,
    running: Arc<Mutex<HashMap<String, AbortHandle>>>,
}

impl Modern {
    fn new(peer: Arc<Peer>) -> (Self, mpsc::UnboundedReceiver<Value>) {
        let (out, told) = mpsc::unbounded_channel();
        (Self { peer, out, running: Arc::default() }, told)
    }

    fn hear(&self, message: Value) {
        let method = message["method"].as_str().expect("a server of this revision asks nothing").to_owned();
        let Some(id) = message.get("id").cloned() else {
            if method == "notifications/cancelled"
                && let Some(call) = self.running.lock().unwrap().remove(&message["params"]["requestId"].to_string())
            {
                call.abort();
            }
            return self.peer.notified(&method, &message["params"]);
        };
        let (peer, out, running, key) = (self.peer.clone(), self.out.clone(), self.running.clone(), id.to_string());
        let mut entries = self.running.lock().unwrap();
        let task = tokio::spawn(async move {
            let answer = match method.as_str() {
                "subscriptions/listen" => return listen(&peer, &message, &out).await,
                _ => answer(&peer, method, message["params"].clone(), &out).await,
            };
            running.lock().unwrap().remove(&id.to_string());
            let _ = out.send(response(&id, answer));
        });
        entries.insert(key, task.abort_handle());
    }
}

async fn answer(
    peer: &Peer,
    method: String,
    params: Value,
    out: &mpsc::UnboundedSender<Value>,
) -> Result<Value, Fault> {
    let meta = |key: &str| params["_meta"].get(format!("{META}{key}"));
    if method == "initialize" {
        let data = json!({ "supported": [REVISION], "requested": params["protocolVersion"] });
        return Err(Fault { code: -32022, message: "unsupported protocol version".into(), data: Some(data) });
    }
    if meta("protocolVersion").is_none_or(|version| version != REVISION) || meta("clientCapabilities").is_none() {
        return Err(Fault::params("_meta lacks protocolVersion or clientCapabilities"));
    }
    if method == "server/discover" {
        return discovered(peer);
    }
    let cacheable = method != "tools/call" && method != "prompts/get";
    let mut answer = peer.request(Request { method, params, notes: out.clone() }).await;
    complete(&mut answer, cacheable);
    answer
}

/// Tells what was asked for, under the id that asked.
async fn listen(peer: &Peer, message: &Value, out: &mpsc::UnboundedSender<Value>) {
    let tag = json!({ format!("{META}subscriptionId"): message["id"] });
    let filter = &message["params"]["notifications"];
    let mut news = peer.notifications().expect("a peer has news");
    let method = "notifications/subscriptions/acknowledged";
    let params = json!({ "notifications": filter, "_meta": tag });
    let _ = out.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    while let Ok(mut note) = news.recv().await {
        if wants(filter, &note) {
            note["params"]["_meta"] = tag.clone();
            let _ = out.send(note);
        }
    }
}
