use super::{error::Failed, is_safe, once};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use serde_json::Value;
use std::time::Duration;

/// The most that is read of an answer: metadata and tokens have some kilobytes.
const MAX_BYTES: usize = 1 << 20;
/// The longest wait for an answer, as a person waits for the end of it.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// An answer, its body read as JSON where it is some.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// Asks for a document.
pub(super) async fn get(what: &'static str, url: &str) -> Result<Answer, Failed> {
    send(what, url, Method::GET, &[], Bytes::new()).await
}

/// Posts the fields of a form, or JSON where `headers` say so.
pub(super) async fn post(
    what: &'static str,
    url: &str,
    headers: &[(header::HeaderName, String)],
    body: impl Into<Bytes>,
) -> Result<Answer, Failed> {
    send(what, url, Method::POST, headers, body.into()).await
}

/// The fields of a form or of a query, encoded.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The address, if it is one to which a secret may go.
pub(super) fn safe(what: &'static str, url: &str) -> Result<Uri, Failed> {
    let unsafe_url = || Failed::refused(format!("the address of {what} must begin with https://"));
    let uri: Uri = url.parse().map_err(|_| unsafe_url())?;
    if is_safe(&uri) { Ok(uri) } else { Err(unsafe_url()) }
}

async fn send(
    what: &'static str,
    url: &str,
    method: Method,
    headers: &[(header::HeaderName, String)],
    body: Bytes,
) -> Result<Answer, Failed> {
    let uri = safe(what, url)?;
    let unreachable = |why: String| Failed::Unreachable { what, why };
    let request = Request::builder().method(method);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = tokio::time::timeout(PATIENCE, once(&uri, request, body, (CONNECT, MAX_BYTES))).await;
    let answer = answer.map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))?;
    let (head, body) = answer.map_err(|error| unreachable(crate::error::causes(&*error)))?.into_parts();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status: head.status, headers: head.headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_https_and_to_this_machine_only() {
        for url in ["https://a.example/token", "http://127.0.0.1:1/", "http://localhost/x", "http://[::1]:2/"] {
            assert!(safe("x", url).is_ok(), "{url}");
        }
        for url in ["http://a.example/", "http://localhost.example/", "ftp://a", "/token", "", "http://10.0.0.1/"] {
            assert!(safe("x", url).is_err(), "{url}");
        }
    }
}
