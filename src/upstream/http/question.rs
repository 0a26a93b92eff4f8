use super::Endpoint;
use crate::{
    Method,
    json::{Id, Json, Params},
    reply::{Answer, Ask},
    upstream::{
        Hop,
        ask::{self, MAX_ASKS},
    },
};
use std::{
    convert::Infallible,
    future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What the server asked in the course of one call and has no answer to. Those that are left when this is dropped are
/// refused.
#[derive(Debug)]
pub(super) struct Questions {
    endpoint: Arc<Endpoint>,
    hop: Arc<Hop>,
    open: Vec<Question>,
}

impl Questions {
    pub(super) fn new(endpoint: &Arc<Endpoint>, hop: &Arc<Hop>) -> Self {
        Self { endpoint: endpoint.clone(), hop: hop.clone(), open: Vec::new() }
    }

    /// Sends answers as they come; never completes. Dropping the future loses nothing.
    pub(super) async fn answering(&mut self) -> Infallible {
        future::poll_fn(|cx| {
            self.poll_answers(cx);
            Poll::Pending
        })
        .await
    }

    /// Sends the answers that are there.
    pub(super) fn poll_answers(&mut self, cx: &mut Context<'_>) {
        self.open.retain_mut(|question| question.poll(cx).is_pending());
    }

    /// A request of the server: a question, unless it can be answered here.
    pub(super) fn asked(&mut self, id: Id, method: Method, params: Params) -> Option<Ask> {
        let frame = ask::at_once(&id, &method).or_else(|| {
            let one_more = self.open.len() < MAX_ASKS && self.open.iter().all(|open| open.id != id);
            (!one_more).then(|| ask::nobody(&id))
        });
        if let Some(frame) = frame {
            self.endpoint.client.detach(self.endpoint.post(&self.hop, None, frame));
            return None;
        }
        let (ask, answer) = Ask::new(method, params);
        let (endpoint, hop) = (self.endpoint.clone(), self.hop.clone());
        self.open.push(Question { endpoint, hop, id, answer, settled: false });
        Some(ask)
    }

    /// The server has taken a question back, so it wants no answer.
    pub(super) fn withdraw(&mut self, id: &Id) {
        if let Some(at) = self.open.iter().position(|open| open.id == *id) {
            self.open.swap_remove(at).settled = true;
        }
    }
}

/// A question of the server in the course of one request; refused when dropped without an answer.
#[derive(Debug)]
struct Question {
    endpoint: Arc<Endpoint>,
    hop: Arc<Hop>,
    /// The server's, as it wrote it.
    id: Id,
    answer: Answer,
    settled: bool,
}

impl Question {
    /// Sends the answer once it is there.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| self.settle(answer))
    }

    fn settle(&mut self, answer: Option<Result<Json, Json>>) {
        self.settled = true;
        // Nobody waits for it: the server may answer the request itself before it has taken this message.
        self.endpoint.client.detach(self.endpoint.post(&self.hop, None, ask::answer(&self.id, answer)));
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(None);
        }
    }
}
