use super::Endpoint;
use crate::{
    json::{Id, Json},
    reply::Answer,
    upstream::{Hop, ask},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A question of the server in the course of one request; refused when dropped without an answer.
#[derive(Debug)]
pub(super) struct Question {
    endpoint: Arc<Endpoint>,
    hop: Arc<Hop>,
    /// The server's, as it wrote it.
    pub(super) id: Id,
    answer: Answer,
    settled: bool,
}

impl Question {
    pub(super) fn new(endpoint: &Arc<Endpoint>, hop: &Arc<Hop>, id: Id, answer: Answer) -> Self {
        Self { endpoint: endpoint.clone(), hop: hop.clone(), id, answer, settled: false }
    }

    /// Sends the answer once it is there.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| self.settle(answer))
    }

    /// The server has taken it back, so it wants no answer.
    pub(super) fn withdraw(mut self) {
        self.settled = true;
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
