//! Headers: a good body under any of them is answered, and what is refused is refused in JSON.

use super::answering::{ask, body};
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::Full;
use serde_json::Value;

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"n","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// Lines of `name: value`; the first may be a method and a path instead.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let line = lines.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let (method, path) = line.split_once(' ').unwrap_or(("POST", "/mcp"));
    let Ok(mut request) = Request::builder().method(method).uri(path).body(Full::from(BODY)) else { return };
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for line in lines.take(32) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            request.headers_mut().append(name, value);
        }
    }
    let answer = ask(request);
    if answer.status().is_client_error() {
        let said: Value = serde_json::from_slice(&body(answer)).expect("JSON");
        assert!(said["error"]["code"].is_i64(), "{said}");
    }
}
