use super::status;
use crate::{
    BoxError, Method,
    json::Message,
    reply::Outcome,
    upstream::{
        client::{Client, Response},
        error::{SessionLost, SessionRefused},
        hop::Hop,
    },
};
use http::StatusCode;

/// The codes that only a modern server sends, and the one every era has for a method it does not know.
const OF_THE_REQUEST: [i64; 4] = [-32020, -32021, -32022, -32601];
/// The codes under which servers that answer a lost session with 400 say so: one of the server's own, the one of a session
/// that is not found, and that of an invalid request. Which of them says it of the message cannot be told.
const OF_THE_SESSION: [i64; 3] = [-32000, -32001, -32600];

/// Makes an answer of a response whose status is no success: the JSON-RPC error in it, if there is one.
pub(super) async fn refused(
    client: &Client,
    response: Response,
    hop: &Hop,
    method: &Method,
) -> Result<Outcome, BoxError> {
    let code = response.status();
    if !(code.is_client_error() || code.is_server_error()) {
        return Err(status(code));
    }
    // In a handshake it is about the gateway's credentials, whatever the body says of it: who reads of it must know that.
    let opens = [Method::DISCOVER, Method::INITIALIZE].contains(method);
    if opens && matches!(code, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(status(code));
    }
    let error = match client.collect(response.into_body()).await {
        // The id may be missing, null, or a word in its place: it is this request's response anyway.
        Ok(body) => match Message::of_server(body) {
            Ok(Message::Response { outcome: Err(error), .. }) => Some(error),
            _ => None,
        },
        Err(_) => None,
    };
    let told = error.as_ref().and_then(|error| error.member("code")?.read().ok());
    // Under a session, 404 says that the session is gone (2025-11-25, "transports: Session Management"), in whatever
    // words.
    let in_session = !hop.is_modern() && hop.session_id().is_some() && *method != Method::INITIALIZE;
    match code {
        StatusCode::NOT_FOUND if in_session && !told.is_some_and(|told| OF_THE_REQUEST.contains(&told)) => {
            Err(SessionLost.into())
        }
        StatusCode::BAD_REQUEST
            if in_session && (error.is_none() || told.is_some_and(|told| OF_THE_SESSION.contains(&told))) =>
        {
            Err(SessionRefused::new(code, error).into())
        }
        _ => error.map(Outcome::Error).ok_or_else(|| status(code)),
    }
}
