//! An upstream that misbehaves in whatever way a call asks for, and counts how often each call arrived.
//!
//! A call of the tool `act` names its fault and a key in its arguments: `{"fault": "cut", "key": "c-17"}`. So faults of
//! many kinds run side by side on one server, and its ledger says of each key whether the call came once, twice or never.
//! What concerns a server as a whole (down, its sessions lost, its answers redirected) is switched at [`Faulty`].

mod answers;
mod bytes;
mod http;
mod sse;
mod stdio;

pub use self::http::{Faulty, Wire};
pub use self::stdio::{child, run};

use serde_json::{Value, json};

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal,)*) => {
        /// What becomes of a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            pub const ALL: &[Fault] = &[$(Fault::$fault),*];

            /// The word in a call's arguments.
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// None: an answer.
    None = "none",
    /// The answer, half a second later.
    Slow = "slow",
    /// An error of the server's own: bad arguments.
    Refusal = "refusal",
    /// A result that says that the tool failed.
    ToolError = "tool-error",
    /// Read, and never heard of again.
    Hang = "hang",
    /// Half of a status line, and silence.
    StallHead = "stall-head",
    /// Half of a body, and silence.
    StallBody = "stall-body",
    /// Half of an event, and silence.
    StallEvent = "stall-event",
    /// An event stream of comments for ever.
    Comments = "comments",
    /// The answer, one byte at a time, far slower than anybody waits.
    Drip = "drip",
    /// The connection is closed in the middle of a body.
    Cut = "cut",
    /// The connection is closed after an event that was no answer.
    CutEvent = "cut-event",
    /// The connection is reset before the head.
    Reset = "reset",
    /// Closed without a word.
    Close = "close",
    Status500 = "status-500",
    Status503 = "status-503",
    /// A status of the client's fault, in a proxy's own words.
    Status404 = "status-404",
    /// A JSON body that is none.
    Garbage = "garbage",
    /// Words where a message should be.
    Words = "words",
    /// Bytes that are no HTTP.
    GarbageHead = "garbage-head",
    WrongId = "wrong-id",
    MissingId = "missing-id",
    /// Both `result` and `error`.
    Both = "both",
    /// Neither of them.
    Neither = "neither",
    /// A message of another protocol.
    NotRpc = "not-rpc",
    Empty = "empty",
    /// A page of a browser.
    WrongType = "wrong-type",
    /// A body above every limit, its length announced.
    HugeBody = "huge-body",
    /// An event above every limit.
    HugeEvent = "huge-event",
    /// A compressed body that nobody asked for, a thousand times as large as it arrives.
    GzipBomb = "gzip-bomb",
    /// A head without an end.
    HeaderBomb = "header-bomb",
    /// `103 Early Hints` without an end.
    Endless1xx = "endless-1xx",
    /// Elsewhere, please: the address that [`Faulty::redirect_to`] set.
    Redirect = "redirect",
    /// A whole answer, and a second one nobody asked for behind it.
    Beyond = "beyond",
    /// Progress every 300 ms for ever, if the call has a token.
    Progress = "progress",
    /// Progress for longer than the longest silence, then the answer.
    Lively = "lively",
    /// Nothing is read any more; over stdio only.
    Deaf = "deaf",
    /// The whole server stands still without an answer, as under SIGSTOP; over stdio only.
    Stop = "stop",
    /// It does after the answer.
    StopLater = "stop-later",
    /// The answer after four seconds, in which the server does nothing else; over stdio only.
    Busy = "busy",
    /// An answer that breaks off before it says whose it is.
    Truncated = "truncated",
    /// The whole server dies; over stdio only.
    Crash = "crash",
}

impl Fault {
    fn of(call: &Value) -> Self {
        let name = call["params"]["arguments"]["fault"].as_str().unwrap_or("none");
        Self::ALL.iter().copied().find(|fault| fault.name() == name).unwrap_or(Fault::None)
    }

    /// The message that answers `call`, as this fault would have it; `None` if the fault is not one of the message.
    fn message(self, call: &Value) -> Option<String> {
        let id = &call["id"];
        Some(match self {
            Fault::None | Fault::Beyond => answer(call),
            Fault::Refusal => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "bad arguments"}}).to_string()
            }
            Fault::ToolError => {
                let mut result = content("it failed");
                result["isError"] = json!(true);
                json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
            }
            Fault::Garbage => "{\"jsonrpc\": %%%".into(),
            Fault::Truncated => "{\"jsonrpc\":\"2.0\",\"result\":{\"content\":[{".into(),
            Fault::Words => "Something went wrong. {{{".into(),
            Fault::WrongId => json!({"jsonrpc": "2.0", "id": 999_999_999, "result": content("another's")}).to_string(),
            Fault::MissingId => json!({"jsonrpc": "2.0", "result": content("whose?")}).to_string(),
            Fault::Both => {
                json!({"jsonrpc": "2.0", "id": id, "result": {}, "error": {"code": 1, "message": "both"}}).to_string()
            }
            Fault::Neither => json!({"jsonrpc": "2.0", "id": id}).to_string(),
            Fault::NotRpc => json!({"id": id, "ok": true}).to_string(),
            _ => return None,
        })
    }
}

fn content(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
}

/// The right answer to `call`, whose text is the call's key.
fn answer(call: &Value) -> String {
    let key = call["params"]["arguments"]["key"].as_str().unwrap_or_default();
    json!({"jsonrpc": "2.0", "id": call["id"], "result": content(key)}).to_string()
}

/// A progress note, where the call asked for such.
fn progress(call: &Value, done: u64) -> Option<String> {
    let token = call.pointer("/params/_meta/progressToken")?;
    let params = json!({"progressToken": token, "progress": done});
    Some(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string())
}

/// The answers that are alike on every wire; `None` for `tools/call` and for what is not known.
fn routine(request: &Value, modern: bool) -> Option<Value> {
    let tool = |name: &str, annotations: Value| json!({"name": name, "inputSchema": {"type": "object"}, "annotations": annotations});
    let complete = |mut result: Value| {
        if modern {
            result["resultType"] = json!("complete");
            (result["ttlMs"], result["cacheScope"]) = (json!(0), json!("private"));
        }
        result
    };
    let info = json!({"name": "faulty", "version": "1.0.0"});
    let result = match request["method"].as_str()? {
        "server/discover" if modern => complete(json!({
            "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "serverInfo": info,
        })),
        "initialize" if !modern => json!({
            "protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info,
        }),
        "ping" => json!({}),
        "tools/list" => complete(json!({"tools": [
            tool("act", json!({})),
            tool("read", json!({"readOnlyHint": true})),
            tool("again", json!({"idempotentHint": true})),
        ]})),
        _ => return None,
    };
    Some(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
}

/// The refusal of a method that is not known.
fn unknown(request: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no such method"}}).to_string()
}
