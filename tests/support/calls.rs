//! Calls and replies for tests of a layer.
#![allow(dead_code, unreachable_pub)]

use futures_util::stream;
use tokio::sync::mpsc;
use tower_mcp_gateway::{
    BoxError, Call, Method, Reply,
    json::{Json, Params},
    reply::{Event, Note, Outcome},
};

pub type Item = Result<Event, BoxError>;

pub fn call() -> Call {
    Call::new(Method::TOOLS_CALL, Params::empty())
}

pub fn result() -> Outcome {
    Outcome::Result(Json::from_static("{}"))
}

pub fn single() -> Reply {
    Reply::single(result())
}

pub fn note() -> Item {
    Ok(Event::from(Note::new(Method::PROGRESS, Params::empty())))
}

/// The beginning of a result that is passed on while it arrives.
pub fn part() -> Item {
    Ok(Event::Part("{\"content\":[".into()))
}

pub fn done() -> Item {
    Ok(Event::Done(result()))
}

/// A reply that says what is sent into the channel; the channel closes when the reply is dropped.
pub fn streaming() -> (mpsc::UnboundedSender<Item>, Reply) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (sender, Reply::stream(stream::poll_fn(move |cx| receiver.poll_recv(cx))))
}
