use crate::{
    Method,
    error::Problem,
    json::{Id, Json, write},
};
use bytes::Bytes;

/// The answer to a request of the server. The gateway declares no client capabilities upstream, so a server that keeps
/// to the protocol asks for nothing but a sign of life.
pub(super) fn answer(id: &Id, method: &Method) -> Bytes {
    if *method == Method::PING {
        return write::result(id, &Json::from_static("{}"));
    }
    let refusal = Problem::rpc(404, -32601, format!("{method} was not declared as a client capability"));
    write::error(Some(id), &refusal.to_json())
}
