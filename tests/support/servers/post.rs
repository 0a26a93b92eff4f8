//! A request over Streamable HTTP: JSON where the answer comes first, a stream where a notification does.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    http::{StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::Stream;
use serde_json::Value;
use tokio::{sync::mpsc, task::AbortHandle};

use crate::support::{
    kit::{Fault, Request, rpc},
    peer::{Peer, exact},
};

/// A request that runs, and what comes of it.
pub(super) struct Post {
    messages: mpsc::UnboundedReceiver<Value>,
    abort: AbortHandle,
    cancelled_by_drop: bool,
}

impl Post {
    /// Runs a request; `finish` has the last word on its result.
    pub(super) fn start(
        peer: Arc<Peer>,
        message: &Value,
        finish: impl FnOnce(&mut Result<Value, Fault>) + Send + 'static,
    ) -> Self {
        let (notes, messages) = mpsc::unbounded_channel();
        let id = message["id"].clone();
        let params = message.get("params").cloned().unwrap_or_else(|| serde_json::json!({}));
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let request = Request { method, params, notes: notes.clone() };
        let task = tokio::spawn(async move {
            let mut answer = rpc::answer(&*peer, request).await;
            finish(&mut answer);
            // A client that is gone hears no answer.
            let _ = notes.send(rpc::response(&id, answer));
        });
        Self { messages, abort: task.abort_handle(), cancelled_by_drop: false }
    }

    /// Ends the request when its response is dropped, as 2026-07-28 demands.
    pub(super) fn cancelled_by_drop(mut self) -> Self {
        self.cancelled_by_drop = true;
        self
    }

    /// Ends the request from elsewhere.
    pub(super) fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }

    /// The response: `status` decides by the error, where there is one before all else.
    pub(super) async fn respond(mut self, status: impl FnOnce(&Value) -> StatusCode) -> Response {
        let first = self.messages.recv().await;
        match first {
            Some(message) if message.get("method").is_none() => json(status(&message), &message),
            first => Sse::new(Events { first, post: self }).keep_alive(KeepAlive::default()).into_response(),
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if self.cancelled_by_drop {
            self.abort.abort();
        }
    }
}

/// A JSON body.
pub(super) fn json(status: StatusCode, message: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], exact(message)).into_response()
}

/// One message as an event.
pub(super) fn event(message: &Value) -> Event {
    Event::default().event("message").data(exact(message))
}

struct Events {
    first: Option<Value>,
    post: Post,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(event(&first))));
        }
        self.post.messages.poll_recv(cx).map(|message| message.map(|message| Ok(event(&message))))
    }
}
