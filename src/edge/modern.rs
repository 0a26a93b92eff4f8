#[cfg(feature = "legacy")]
use super::headers::Field;
use super::{
    answer::deliver,
    begun::Begun,
    error::Refusal,
    headers::{Head, Target, decoded, mismatch},
    incoming::{Incoming, unshared},
    parts,
    running::{Inner, Running},
    writer::Writer,
};
use crate::{
    Call, Method, ParamHeaders, Revision,
    error::Problem,
    header::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION},
    json::{self, Json, Message, Params},
    meta,
};
#[cfg(feature = "legacy")]
use http::HeaderValue;
use std::{borrow::Cow, sync::Arc};

/// The revisions whose requests stand for themselves.
const SUPPORTED: [Revision; 1] = [Revision::LATEST_MODERN];

/// Whether a message claims to be of the era of self-contained requests: a version in its `_meta`, or a header that
/// names such a revision. Anything else is of an earlier client, or nobody's.
#[cfg(feature = "legacy")]
pub(super) fn claims(head: &Head<'_>, incoming: &Incoming) -> bool {
    let named = match head.target.version {
        Field::Absent => false,
        Field::Once(version) => is_modern(version),
        Field::Twice => head.headers.get_all(MCP_PROTOCOL_VERSION).iter().any(is_modern),
    };
    let carries = |message: &Message| match message {
        Message::Request { params, .. } | Message::Notification { params, .. } => {
            params.reserved(meta::PROTOCOL_VERSION).is_some()
        }
        Message::Response { .. } => false,
    };
    named
        || match incoming {
            Incoming::One(message) => carries(message),
            Incoming::Batch(elements) => {
                elements.iter().any(|element| Incoming::message(element.clone()).is_ok_and(|message| carries(&message)))
            }
        }
}

/// Revisions are dates, so later ones are known by their order even where they are not supported.
#[cfg(feature = "legacy")]
fn is_modern(version: &HeaderValue) -> bool {
    let version = version.as_bytes().trim_ascii();
    // Most are earlier, which is told by the first bytes that differ.
    let later = version.len() == 10 && version >= Revision::LATEST_MODERN.as_str().as_bytes();
    later && version.iter().all(|b| b.is_ascii_digit() || *b == b'-')
}

#[inline(never)]
pub(super) fn begin<'a, S: Inner>(inner: &'a Arc<S>, head: Head<'_>, incoming: Incoming) -> Result<Begun<'a>, Refusal> {
    let (id, method, params) = match incoming {
        Incoming::One(Message::Request { id, method, params }) => (id, method, params),
        Incoming::One(Message::Notification { method, params }) => return notification(inner, head, method, params),
        Incoming::One(Message::Response { .. }) => {
            return Err(Refusal::invalid("nothing was asked that could be answered"));
        }
        #[cfg(feature = "legacy")]
        Incoming::Batch(_) => return Err(Refusal::invalid("this revision has no batches")),
    };
    check(head.target, &method, &params).map_err(|problem| Refusal::from(problem).with_id(&id))?;
    // The stream may be open for days, and would keep the buffer that its request was read into.
    let id = if method == Method::LISTEN { unshared(&id) } else { id };
    let writer = Writer::modern(id, &method);
    Ok(Begun::Alone(Running::start(inner, call(head, method, params)), writer))
}

/// The rules for headers say nothing about notifications, so only what is there is checked.
fn notification<'a, S: Inner>(
    inner: &Arc<S>,
    head: Head<'_>,
    method: Method,
    params: Params,
) -> Result<Begun<'a>, Refusal> {
    if !method.is_notification() {
        return Err(Refusal::invalid("a request must have an id"));
    }
    if let Some(version) = head.target.version.single(&MCP_PROTOCOL_VERSION)? {
        supported(version)?;
    }
    Ok(Begun::waiting(deliver(Running::start(inner, call(head, method, params)))))
}

fn call(head: Head<'_>, method: Method, params: Params) -> Call {
    let in_parts = parts::suit(&method);
    let mut call = Call::new(method, params);
    (call.mirrored, call.in_parts) = (true, in_parts);
    call.extensions = head.extensions;
    if let Some(headers) = head.target.has_params.then(|| ParamHeaders::of(head.headers)).flatten() {
        call.extensions.insert(headers);
    }
    call
}

/// The checks of a request, in the order in which the first that fails is the one to report (2026-07-28,
/// "basic/transports/streamable-http: Server Validation").
fn check(target: &Target<'_>, method: &Method, params: &Params) -> Result<(), Problem> {
    check_version(target, params)?;
    check_method(target, method)?;
    check_name(target, method, params)?;
    check_body(method, params)
}

/// What is asked of a request beside its version and its headers, whatever wire it came over.
pub(super) fn check_body(method: &Method, params: &Params) -> Result<(), Problem> {
    match params.reserved(meta::CLIENT_CAPABILITIES) {
        Some(capabilities) if capabilities.starts_with(b"{") => {}
        _ => return Err(missing(meta::CLIENT_CAPABILITIES)),
    }
    match is_removed(method) {
        true => Err(Problem::rpc(404, -32601, format!("the method {method} is not known in this revision"))),
        false => Ok(()),
    }
}

fn check_version(target: &Target<'_>, params: &Params) -> Result<(), Problem> {
    let header = target.version.single(&MCP_PROTOCOL_VERSION)?;
    let body = params.reserved(meta::PROTOCOL_VERSION).map(json::text);
    match (header, body) {
        (None, Some(_)) => Err(mismatch("the header MCP-Protocol-Version is missing")),
        (Some(_), Some(Some(body))) if header == Some(&*body) => supported(&body),
        (Some(_), Some(Some(_))) => Err(mismatch("the header MCP-Protocol-Version is not what the body says")),
        // A client that opens with `initialize` learns what would do.
        (None, None) => match params.member("protocolVersion").and_then(|version| version.read::<String>().ok()) {
            Some(asked) => Err(unsupported(&asked)),
            None => Err(missing(meta::PROTOCOL_VERSION)),
        },
        (_, None) | (_, Some(None)) => Err(missing(meta::PROTOCOL_VERSION)),
    }
}

pub(super) fn supported(version: &str) -> Result<(), Problem> {
    if SUPPORTED.iter().any(|known| known.as_str() == version) {
        return Ok(());
    }
    Err(unsupported(version))
}

fn unsupported(version: &str) -> Problem {
    let supported = SUPPORTED.map(Revision::as_str);
    let problem = Problem::rpc(400, -32022, "this protocol version is not supported");
    problem.with_data(&serde_json::json!({"supported": supported, "requested": version}))
}

fn check_method(target: &Target<'_>, method: &Method) -> Result<(), Problem> {
    match target.method.single(&MCP_METHOD)? {
        Some(named) if named == method.as_str() => Ok(()),
        Some(_) => Err(mismatch("the header Mcp-Method is not what the body says")),
        None => Err(mismatch("the header Mcp-Method is missing")),
    }
}

fn check_name(target: &Target<'_>, method: &Method, params: &Params) -> Result<(), Problem> {
    let (member, name) = match method.as_str() {
        "tools/call" | "prompts/get" => ("name", params.name()),
        "resources/read" => ("uri", params.uri()),
        "tasks/get" | "tasks/update" | "tasks/cancel" => ("taskId", task_id(params)),
        _ => return Ok(()),
    };
    let Some(header) = target.name.single(&MCP_NAME)? else {
        return Err(mismatch("the header Mcp-Name is missing"));
    };
    let header = decoded(header).ok_or_else(|| mismatch("the header Mcp-Name is not encoded text"))?;
    match name {
        Some(name) if name == header => Ok(()),
        Some(_) => Err(mismatch("the header Mcp-Name is not what the body says")),
        None => Err(Problem::rpc(400, -32602, format!("the parameter {member:?} must be a string"))),
    }
}

fn task_id(params: &Params) -> Option<Cow<'static, str>> {
    params.member("taskId").and_then(|id: Json| id.read::<String>().ok()).map(Cow::Owned)
}

pub(super) fn missing(key: &str) -> Problem {
    Problem::rpc(400, -32602, format!("{key:?} is missing in _meta, or of the wrong type"))
}

/// Requests of earlier revisions that this one took out. Whether any other method exists is for the service behind to
/// say: extensions bring their own.
fn is_removed(method: &Method) -> bool {
    let removed = [
        Method::INITIALIZE,
        Method::PING,
        Method::SET_LEVEL,
        Method::RESOURCES_SUBSCRIBE,
        Method::RESOURCES_UNSUBSCRIBE,
    ];
    // A notification has no answer, so one that asks for an answer is no method either.
    removed.contains(method) || method.is_notification()
}
