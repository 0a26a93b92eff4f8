//! What a transport says to a server that asks.

use crate::{
    Method,
    error::Problem,
    json::{Id, Json, write},
};
use bytes::Bytes;

/// Questions of one call that wait for their answers; a server that asks more at once is refused.
pub(crate) const MAX_ASKS: usize = 16;

/// The longest name of a method that is repeated to a server that asks for it, in bytes: answers that wait to be written must
/// not be as large as what the server wrote.
const MAX_METHOD: usize = 128;

/// The frame that answers a request of the server which is no question to a client; `None` for one that is.
///
/// Anything may want to know whether the gateway lives; what else a server could ask of a client is not known here.
pub(crate) fn at_once(id: &Id, method: &Method) -> Option<Bytes> {
    if *method == Method::PING {
        return Some(write::result(id, &Json::from_static("{}")));
    }
    let is_question = [Method::ELICIT, Method::SAMPLE, Method::ROOTS_LIST].contains(method);
    let name = Some(method.as_str()).filter(|name| name.len() <= MAX_METHOD).unwrap_or("the method");
    (!is_question).then(|| refusal(id, -32601, format!("{name} is not known here")))
}

/// The frame of the client's answer, or of there being none.
pub(crate) fn answer(id: &Id, answer: Option<Result<Json, Json>>) -> Bytes {
    match answer {
        Some(Ok(result)) => write::result(id, &result),
        Some(Err(error)) => write::error(Some(id), &error),
        None => refusal(id, -32603, "nobody answers"),
    }
}

/// The frame for a question of which nobody knows to whom it should go.
pub(crate) fn nobody(id: &Id) -> Bytes {
    refusal(id, -32603, "the question belongs to no call that can be told from others")
}

fn refusal(id: &Id, code: i64, message: impl Into<std::borrow::Cow<'static, str>>) -> Bytes {
    write::error(Some(id), &Problem::rpc(500, code, message).to_json())
}
