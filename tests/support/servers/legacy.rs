//! Streamable HTTP of the `initialize` era, strict about what its clients must send.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response, sse::Sse},
    routing::post,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::post::{self, Post, event};
use crate::support::{
    kit::{REVISIONS, Server},
    peer::{LEAVING, Peer},
};

const SESSION: &str = "mcp-session-id";

type Running = Arc<Mutex<HashMap<String, AbortHandle>>>;

struct Face {
    peer: Arc<Peer>,
    with_sessions: bool,
    sessions: Mutex<HashMap<String, Running>>,
}

/// The endpoint, with session ids or without.
pub(super) fn router(peer: Arc<Peer>, with_sessions: bool) -> Router {
    let face = Arc::new(Face { peer, with_sessions, sessions: Mutex::default() });
    if !with_sessions {
        face.sessions.lock().unwrap().insert(String::new(), Running::default());
        return Router::new().route("/mcp", post(hear)).with_state(face);
    }
    Router::new().route("/mcp", post(hear).get(tell).delete(end)).with_state(face)
}

async fn hear(State(face): State<Arc<Face>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, &Value::Null, -32700, "not JSON");
    };
    face.peer.ledger.post(&headers, &message);
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !["application/json", "text/event-stream"].iter().all(|kind| accept.contains(kind)) {
        return refuse(StatusCode::NOT_ACCEPTABLE, &message["id"], -32000, "both media types must be accepted");
    }
    if message["method"] == "initialize" {
        return face.open(&message).await;
    }
    let running = match face.session(&headers) {
        Ok(running) => running,
        Err(status) => return refuse(status, &message["id"], -32000, "Server not initialized"),
    };
    if let Some(revision) = headers.get("mcp-protocol-version")
        && !REVISIONS.iter().any(|known| known == revision)
    {
        return refuse(StatusCode::BAD_REQUEST, &message["id"], -32000, "unsupported protocol version");
    }
    if message.get("method").is_none() {
        face.peer.answered(&message);
        return StatusCode::ACCEPTED.into_response();
    }
    match message.get("id") {
        None => face.notified(&running, &message),
        Some(_) => {
            if message["method"] == "ping" {
                face.peer.ledger.count_method("ping");
            }
            face.run(&running, &message).await
        }
    }
}

impl Face {
    async fn open(&self, message: &Value) -> Response {
        self.peer.ledger.count_method("initialize");
        let mut response = Post::start(self.peer.clone(), message, |_| {}).respond(|_| StatusCode::OK).await;
        if self.with_sessions {
            let id = format!("{:032x}", fastrand::u128(..));
            response.headers_mut().insert(SESSION, id.parse().expect("hexadecimal digits"));
            self.sessions.lock().unwrap().insert(id, Running::default());
        }
        response
    }

    /// The calls that run in the session which the headers name.
    fn session(&self, headers: &HeaderMap) -> Result<Running, StatusCode> {
        let id = match headers.get(SESSION) {
            Some(id) => id.to_str().unwrap_or_default(),
            None if self.with_sessions => return Err(StatusCode::BAD_REQUEST),
            None => "",
        };
        self.sessions.lock().unwrap().get(id).cloned().ok_or(StatusCode::NOT_FOUND)
    }

    fn notified(&self, running: &Running, message: &Value) -> Response {
        let method = message["method"].as_str().unwrap_or_default();
        self.peer.notified(method, &message["params"]);
        if method == "notifications/cancelled" {
            let id = message["params"]["requestId"].to_string();
            if let Some(call) = running.lock().unwrap().remove(&id) {
                call.abort();
            }
        }
        StatusCode::ACCEPTED.into_response()
    }

    async fn run(&self, running: &Running, message: &Value) -> Response {
        let id = message["id"].to_string();
        let over = (running.clone(), id.clone());
        let call = {
            // Held across the start, so that a call cannot be over before it is entered.
            let mut running = running.lock().unwrap();
            let call = Post::start(self.peer.clone(), message, move |_| {
                over.0.lock().unwrap().remove(&over.1);
            });
            running.insert(id, call.abort_handle());
            call
        };
        call.respond(|_| StatusCode::OK).await
    }
}

async fn tell(State(face): State<Arc<Face>>, headers: HeaderMap) -> Response {
    if let Err(status) = face.session(&headers) {
        return refuse(status, &Value::Null, -32000, "no such session");
    }
    let news = face.peer.notifications().expect("a peer has news");
    let events = stream::unfold(news, |mut news| async {
        let note = news.recv().await.ok()?;
        Some((Ok::<_, Infallible>(event(&note)), news))
    });
    Sse::new(events).into_response()
}

async fn end(State(face): State<Arc<Face>>, headers: HeaderMap) -> StatusCode {
    let id = headers.get(SESSION).and_then(|id| id.to_str().ok()).unwrap_or_default();
    match face.sessions.lock().unwrap().remove(id) {
        Some(running) => {
            face.peer.ledger.count_method(LEAVING);
            running.lock().unwrap().drain().for_each(|(_, call)| call.abort());
            StatusCode::NO_CONTENT
        }
        None => StatusCode::NOT_FOUND,
    }
}

fn refuse(status: StatusCode, id: &Value, code: i64, message: &str) -> Response {
    post::json(status, &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }))
}
