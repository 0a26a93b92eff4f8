use crate::{
    Method,
    json::{Json, Params},
};
use std::{
    any::Any,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// A question of a server to the client, in the middle of a call, with the way its one answer takes.
///
/// Servers of the initialize era send such requests (`elicitation/create`, `sampling/createMessage`, `roots/list`). The
/// edge passes them to clients of that era and [answers](Ask::answer) with what they say; for clients of 2026-07-28
/// [`Era`](crate::upstream::era::Era) makes an `input_required` result of them before they get here. Dropping it
/// unanswered refuses it.
///
/// ```
/// use tower_mcp_gateway::{Method, json::{Json, Params}, reply::Ask};
///
/// # tokio_test::block_on(async {
/// let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
/// ask.answer(Ok(Json::from_static(r#"{"roots":[]}"#)));
/// assert!(answer.await.is_some_and(|answer| answer.is_ok()));
/// # });
/// ```
pub struct Ask {
    /// What is asked.
    pub method: Method,
    /// Its parameters, as the server sent them.
    pub params: Params,
    /// It came on a channel that calls share, and belongs to this call only because no other could be meant: it may be
    /// one that the server asks outside of all calls.
    pub(crate) inferred: bool,
    answer: oneshot::Sender<Result<Json, Json>>,
    /// Dropped with the question, answered or not.
    held: Vec<Box<dyn Any + Send>>,
}

/// Waits for what the client says: its `result`, its `error`, or `None` if nobody will answer.
///
/// ```
/// use tower_mcp_gateway::{Method, json::Params, reply::Ask};
///
/// # tokio_test::block_on(async {
/// let (ask, answer) = Ask::new(Method::ROOTS_LIST, Params::empty());
/// drop(ask);
/// assert!(answer.await.is_none());
/// # });
/// ```
#[derive(Debug)]
#[must_use = "the server waits for the answer"]
pub struct Answer(oneshot::Receiver<Result<Json, Json>>);

impl Ask {
    /// A question, and the future of its answer.
    pub fn new(method: Method, params: Params) -> (Self, Answer) {
        let (answer, answered) = oneshot::channel();
        (Self { method, params, inferred: false, answer, held: Vec::new() }, Answer(answered))
    }

    /// Says that it came on a channel that calls share.
    pub(crate) fn inferred(mut self) -> Self {
        self.inferred = true;
        self
    }

    /// Keeps `guard` until the question is answered or dropped.
    pub(crate) fn hold<G: Any + Send>(&mut self, guard: G) {
        self.held.push(Box::new(guard));
    }

    /// Gives the client's `result` or `error` to the server. Without effect if the call has ended meanwhile.
    pub fn answer(self, answer: Result<Json, Json>) {
        let _ = self.answer.send(answer);
    }

    /// Whether the call has ended, so that nobody waits for the answer any more.
    pub fn is_moot(&self) -> bool {
        self.answer.is_closed()
    }
}

impl Future for Answer {
    type Output = Option<Result<Json, Json>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("method", &self.method).finish_non_exhaustive()
    }
}
