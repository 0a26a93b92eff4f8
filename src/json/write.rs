//! JSON-RPC frames written around the original slices of ids, parameters and results.

use super::{Id, Json};
use crate::Method;
use bytes::Bytes;

/// `{"jsonrpc":"2.0","id":…,"method":…,"params":…}`
///
/// ```
/// use tower_mcp_gateway::{Method, json::{Id, Json, write}};
///
/// let id = Id::from_json(Json::from_static("7"))?;
/// let request = write::request(&id, &Method::PING, b"{}");
/// assert_eq!(request, r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{}}"#);
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
pub fn request(id: &Id, method: &Method, params: &[u8]) -> Bytes {
    let mut out = open(id.as_bytes().len() + method.as_str().len() + params.len());
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id.as_bytes());
    method_and_params(&mut out, method, params);
    out.into()
}

/// What [`request`] writes, for where it is to stand behind something else that says how long it is.
#[cfg(any(feature = "http", test))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) id: u64,
    pub(crate) method: &'a Method,
    pub(crate) params: &'a [u8],
}

#[cfg(any(feature = "http", test))]
impl Frame<'_> {
    /// How many bytes [`append`](Self::append) appends.
    pub(crate) fn length(&self) -> usize {
        const AROUND: usize = r#"{"jsonrpc":"2.0","id":,"method":,"params":}"#.len();
        let digits = itoa::Buffer::new().format(self.id).len();
        let name = self.method.as_str();
        let quoted = if self.method.is_known() { name.len() + 2 } else { string_length(name) };
        AROUND + digits + quoted + self.params.len()
    }

    pub(crate) fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.id).as_bytes());
        method_and_params(out, self.method, self.params);
    }
}

/// `{"jsonrpc":"2.0","method":…,"params":…}`
///
/// ```
/// use tower_mcp_gateway::{Method, json::write};
///
/// let note = write::notification(&Method::TOOLS_LIST_CHANGED, b"{}");
/// assert_eq!(note, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{}}"#);
/// ```
pub fn notification(method: &Method, params: &[u8]) -> Bytes {
    let mut out = Vec::new();
    append_notification(&mut out, method, params);
    out.into()
}

/// As [`notification`], behind what `out` holds.
pub(crate) fn append_notification(out: &mut Vec<u8>, method: &Method, params: &[u8]) {
    // All there is beside the two: a message of its own fills its memory, unless the method holds what is escaped.
    const AROUND: usize = r#"{"jsonrpc":"2.0","method":"","params":}"#.len();
    let length = AROUND + method.as_str().len() + params.len();
    if out.is_empty() {
        out.reserve_exact(length)
    } else {
        out.reserve(length)
    }
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    method_and_params(out, method, params);
}

/// `{"jsonrpc":"2.0","id":…,"result":…}`
///
/// ```
/// use tower_mcp_gateway::json::{Id, Json, write};
///
/// let pong = write::result(&Id::from(7), &Json::from_value(&serde_json::json!({}))?);
/// assert_eq!(pong, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn result(id: &Id, result: &Json) -> Bytes {
    answer(id.as_str(), "result", result.as_bytes())
}

/// `{"jsonrpc":"2.0","id":…,"error":…}`, with a null id where the request's could not be read.
///
/// ```
/// use tower_mcp_gateway::{error::Problem, json::write};
///
/// let unread = write::error(None, &Problem::rpc(400, -32700, "not JSON").to_json());
/// assert_eq!(unread, r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}"#);
/// ```
pub fn error(id: Option<&Id>, error: &Json) -> Bytes {
    answer(id.map_or("null", Id::as_str), "error", error.as_bytes())
}

/// Appends `text` as a JSON string.
///
/// ```
/// let mut out = Vec::new();
/// tower_mcp_gateway::json::write::string(&mut out, "one\n\"two\"");
/// assert_eq!(out, br#""one\n\"two\"""#);
/// ```
pub fn string(out: &mut Vec<u8>, text: &str) {
    if !is_escaped(text) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    serde_json::to_writer(&mut *out, text).expect("a Vec takes every byte");
}

/// Whether anything of a text is escaped in JSON, which in most texts nothing is. All bytes are looked at, because that is done
/// several at a time.
fn is_escaped(text: &str) -> bool {
    let escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    text.bytes().fold(false, |any, byte| any | escaped(byte))
}

/// How many bytes [`string`] appends.
#[cfg(any(feature = "http", test))]
fn string_length(text: &str) -> usize {
    if !is_escaped(text) {
        return text.len() + 2;
    }
    let length = |byte| match byte {
        b'"' | b'\\' | 8..=10 | 12 | 13 => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(length).sum::<usize>() + 2
}

fn open(payload: usize) -> Vec<u8> {
    // Room for the fixed members, so that a frame is one allocation.
    let mut out = Vec::with_capacity(payload + 64);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    out
}

fn method_and_params(out: &mut Vec<u8>, method: &Method, params: &[u8]) {
    if method.is_known() {
        out.extend_from_slice(b",\"method\":\"");
        out.extend_from_slice(method.as_str().as_bytes());
        out.extend_from_slice(b"\",\"params\":");
    } else {
        out.extend_from_slice(b",\"method\":");
        string(out, method.as_str());
        out.extend_from_slice(b",\"params\":");
    }
    out.extend_from_slice(params);
    out.push(b'}');
}

fn answer(id: &str, kind: &str, payload: &[u8]) -> Bytes {
    let mut out = open(id.len() + payload.len());
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b",\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(payload);
    out.push(b'}');
    out.into()
}
