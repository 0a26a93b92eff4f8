//! Requests as clients of either era write them.

use crate::load::{Era, Load, Op};

/// The one that opens a session.
pub(crate) fn initialize(path: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    post(path, "", body)
}

/// The one that says that it is open.
pub(crate) fn initialized(path: &str, session: &str) -> String {
    post(path, session, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
}

/// The one that ends it.
pub(crate) fn delete(path: &str, session: &str) -> String {
    format!("DELETE {path} HTTP/1.1\r\nhost: localhost\r\n{session}content-length: 0\r\n\r\n")
}

/// The one that listens to what is said outside of calls.
pub(crate) fn listen(path: &str, session: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{session}\r\n")
}

/// What a load sends again and again; `session` is the header line that names one, or nothing.
pub(crate) fn of(load: &Load, session: &str) -> String {
    const META: &str =
        r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;
    let modern = load.era == Era::Modern;
    let token = if load.op == Op::Stream { r#""progressToken":1"# } else { "" };
    let comma = if modern && !token.is_empty() { "," } else { "" };
    let meta = format!(r#""_meta":{{{}{comma}{token}}}"#, if modern { META } else { "" });
    let tool = match load.op {
        Op::Echo => load.tool,
        Op::Blob => "blob",
        Op::Stream => "stream",
        Op::List | Op::Discover | Op::Session => "",
    };
    let (method, params) = match load.op {
        Op::List | Op::Session => ("tools/list", meta),
        Op::Discover => ("server/discover", meta),
        _ => {
            let text = "x".repeat(200);
            ("tools/call", format!(r#""name":"{tool}","arguments":{{"text":"{text}"}},{meta}"#))
        }
    };
    let mut headers = session.to_owned();
    if modern {
        headers += &format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n");
        if !tool.is_empty() {
            headers += &format!("mcp-name: {tool}\r\n");
        }
    }
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
    post(&load.path, &headers, &body)
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, \
         text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
