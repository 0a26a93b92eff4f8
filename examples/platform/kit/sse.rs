//! A server over HTTP+SSE, the transport of revision 2024-11-05: `GET /sse` tells, `POST /messages` hears.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::sse::{Event, KeepAlive, Sse},
    routing::{get, post},
};
use futures_util::Stream;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Server, rpc::Dialogue};

/// The clients that hold a stream open, by the id in their POST endpoint.
struct Clients<S> {
    server: Arc<S>,
    open: Mutex<HashMap<String, Dialogue<S>>>,
}

/// A server's two endpoints.
pub(crate) fn router<S: Server>(server: Arc<S>) -> Router {
    let clients = Arc::new(Clients { server, open: Mutex::default() });
    Router::new().route("/sse", get(tell::<S>)).route("/messages", post(hear::<S>)).with_state(clients)
}

async fn tell<S: Server>(
    State(clients): State<Arc<Clients<S>>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send> {
    let id = format!("{:032x}", fastrand::u128(..));
    let (dialogue, told) = Dialogue::new(clients.server.clone());
    clients.open.lock().unwrap().insert(id.clone(), dialogue);
    Sse::new(Telling { endpoint: Some(format!("/messages?sessionId={id}")), told, id, clients })
        .keep_alive(KeepAlive::default())
}

async fn hear<S: Server>(
    State(clients): State<Arc<Clients<S>>>,
    uri: Uri,
    Json(message): Json<Value>,
) -> (StatusCode, &'static str) {
    let query = Query::<HashMap<String, String>>::try_from_uri(&uri).unwrap_or_default();
    let open = clients.open.lock().unwrap();
    match query.get("sessionId").and_then(|id| open.get(id)) {
        Some(dialogue) => {
            dialogue.hear(message);
            (StatusCode::ACCEPTED, "Accepted")
        }
        None => (StatusCode::NOT_FOUND, "no such session"),
    }
}

/// One client's stream; dropping it, as hyper does when the client goes, ends the session.
struct Telling<S> {
    endpoint: Option<String>,
    told: mpsc::UnboundedReceiver<Value>,
    id: String,
    clients: Arc<Clients<S>>,
}

impl<S> Stream for Telling<S> {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(endpoint) = self.endpoint.take() {
            return Poll::Ready(Some(Ok(Event::default().event("endpoint").data(endpoint))));
        }
        self.told.poll_recv(cx).map(|message| {
            let message = message?;
            Some(Ok(Event::default().event("message").data(message.to_string())))
        })
    }
}

impl<S> Drop for Telling<S> {
    fn drop(&mut self) {
        self.clients.open.lock().unwrap().remove(&self.id);
    }
}
