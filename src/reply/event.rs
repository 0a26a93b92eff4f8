use super::Ask;
use crate::{
    Method,
    json::{Json, Members, Params},
};
use bytes::Bytes;

/// One piece of a [`Reply`](super::Reply).
///
/// Each layer between a transport and the edge hands it on, so it is small: what is told and asked lies in a box.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use tower_mcp_gateway::{BoxError, Method, Reply, json::{Json, Params}, reply::{Event, Note, Outcome}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let note = Event::Note(Note::new(Method::PROGRESS, Params::empty()).into());
/// let done = Event::Done(Outcome::Result(Json::from_static("{}")));
/// let mut events = Reply::stream(stream::iter([Ok(note), Ok(done)])).into_events();
/// while let Some(event) = events.next().await {
///     match event? {
///         Event::Note(note) => assert_eq!(note.method, Method::PROGRESS),
///         Event::Done(outcome) => assert!(outcome.result().is_some()),
///         _ => unreachable!("nothing is asked here"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something told on the way.
    Note(Box<Note>),
    /// Something asked on the way, of a client that can be asked.
    Ask(Box<Ask>),
    /// A piece of a result too large to wait for, where the [call](crate::call::Parts::in_parts) asked for it: the first is that of
    /// its beginning, and the last lacks the bracket that closes it. [`Outcome::Passed`] or an error follows.
    Part(Bytes),
    /// How the call ended: exactly once, last.
    Done(Outcome),
}

impl From<Note> for Event {
    fn from(note: Note) -> Self {
        Event::Note(Box::new(note))
    }
}

impl From<Ask> for Event {
    fn from(ask: Ask) -> Self {
        Event::Ask(Box::new(ask))
    }
}

/// A notification that belongs to a call: progress, a log message, a changed list.
///
/// ```
/// use tower_mcp_gateway::{Method, json::Params, reply::{Event, Note}};
///
/// let params = Params::from_value(&serde_json::json!({"progressToken": 7, "progress": 1, "total": 2}))?;
/// let Event::Note(note) = Event::from(Note::new(Method::PROGRESS, params)) else { unreachable!() };
/// assert_eq!(note.method.as_str(), "notifications/progress");
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub struct Note {
    /// What is told.
    pub method: Method,
    /// Its parameters. A progress note carries the progress token of the [`Call`](crate::Call) it answers.
    pub params: Params,
    /// Whether nothing had come behind it when it was read, so that it need not be asked for what could leave with it.
    pub(crate) alone: bool,
}

impl Note {
    /// A note with these parameters.
    pub fn new(method: Method, params: Params) -> Self {
        Self { method, params, alone: false }
    }
}

/// How a call ended. A JSON-RPC error *from the server* is an outcome too: the exchange worked.
///
/// ```
/// use tower_mcp_gateway::{json::Json, reply::Outcome};
///
/// let refused = Outcome::Error(Json::from_static(r#"{"code":-32602,"message":"no such tool"}"#));
/// assert_eq!(refused.error_code(), Some(-32602));
/// assert_eq!(Outcome::Result(Json::from_static("{}")).result().unwrap().as_str(), "{}");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The `result`.
    Result(Json),
    /// A result that went ahead in [parts](Event::Part), and is whole and well-formed as of now; which members it has is all
    /// that is left of it.
    Passed(Members),
    /// The `error` object.
    Error(Json),
    /// A notification was taken; there is nothing to say.
    Accepted,
}

impl Outcome {
    /// The code of an error outcome.
    pub fn error_code(&self) -> Option<i64> {
        match self {
            Outcome::Error(error) => error.member("code")?.read().ok(),
            _ => None,
        }
    }

    /// The `result`, if this is one.
    pub fn result(&self) -> Option<&Json> {
        match self {
            Outcome::Result(result) => Some(result),
            _ => None,
        }
    }
}

impl From<Result<Json, Json>> for Outcome {
    fn from(outcome: Result<Json, Json>) -> Self {
        match outcome {
            Ok(result) => Outcome::Result(result),
            Err(error) => Outcome::Error(error),
        }
    }
}
