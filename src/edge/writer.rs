#[cfg(feature = "legacy")]
use super::legacy::results;
use crate::{
    BoxError, Method,
    error::{Problem, explain},
    json::{
        Id, Json, Params,
        object::{self, Edit},
        write,
    },
    meta,
    reply::{Note, Outcome},
};
use bytes::Bytes;
use http::StatusCode;
use memchr::memmem;

/// Writes the messages that answer one request, in the words of the client's revision.
pub(super) struct Writer {
    id: Id,
    kind: Kind,
}

/// What makes answers differ.
enum Kind {
    /// 2026-07-28; results of some methods must say how long they hold.
    Modern { cacheable: bool },
    /// `subscriptions/listen` of 2026-07-28: each message names the request it belongs to.
    Listen,
    /// Earlier revisions, which differ in what some methods answer.
    #[cfg(feature = "legacy")]
    Legacy(Method),
}

impl Writer {
    pub(super) fn modern(id: Id, method: &Method) -> Self {
        let cacheable = [
            Method::DISCOVER,
            Method::TOOLS_LIST,
            Method::PROMPTS_LIST,
            Method::RESOURCES_LIST,
            Method::RESOURCES_TEMPLATES_LIST,
            Method::RESOURCES_READ,
        ];
        let kind = match *method == Method::LISTEN {
            true => Kind::Listen,
            false => Kind::Modern { cacheable: cacheable.contains(method) },
        };
        Self { id, kind }
    }

    #[cfg(feature = "legacy")]
    pub(super) fn legacy(id: Id, method: &Method) -> Self {
        Self { id, kind: Kind::Legacy(method.clone()) }
    }

    pub(super) fn note(&self, note: &Note) -> Bytes {
        match self.kind {
            Kind::Listen => write::notification(&note.method, self.tag(&note.params).as_bytes()),
            _ => write::notification(&note.method, note.params.as_bytes()),
        }
    }

    /// The answer, with the status of a response that holds nothing else.
    pub(super) fn done(&self, outcome: Outcome) -> (StatusCode, Bytes) {
        match outcome {
            Outcome::Result(result) => (StatusCode::OK, self.result(result)),
            Outcome::Error(error) => {
                let status = status(&error);
                (self.status(status), self.error(error))
            }
            Outcome::Accepted => {
                let problem = self.failed(&*BoxError::from("a request was taken for a notification"));
                (problem.status, self.problem(&problem))
            }
        }
    }

    /// What the client is told about a failure of the gateway; `status` is that of a response that holds nothing else.
    pub(super) fn failed(&self, error: &(dyn std::error::Error + 'static)) -> Problem {
        let mut problem = explain(error);
        match problem.code {
            -32603 => tracing::error!(error, "a call failed for an unknown reason"),
            _ => tracing::debug!(error, "a call failed"),
        }
        problem.status = self.status(problem.status);
        problem
    }

    /// Errors of a valid request are answered with 200 before 2026-07-28; there, 404 would mean that the session is
    /// gone.
    fn status(&self, modern: StatusCode) -> StatusCode {
        match self.kind {
            Kind::Modern { .. } | Kind::Listen => modern,
            #[cfg(feature = "legacy")]
            Kind::Legacy(_) => StatusCode::OK,
        }
    }

    pub(super) fn problem(&self, problem: &Problem) -> Bytes {
        self.error(problem.to_json())
    }

    fn result(&self, result: Json) -> Bytes {
        let stamps = match &self.kind {
            Kind::Modern { cacheable: false } => &STAMPS[..1],
            Kind::Modern { cacheable: true } => &STAMPS[..],
            Kind::Listen => return stamped(&self.id, &self.tagged(result), &STAMPS[..1]),
            #[cfg(feature = "legacy")]
            Kind::Legacy(method) => {
                let result = match method {
                    method if *method == Method::TOOLS_CALL => results::called(result),
                    method if *method == Method::TOOLS_LIST => results::listed(result),
                    _ => result,
                };
                return write::result(&self.id, &result);
            }
        };
        stamped(&self.id, &result, stamps)
    }

    fn error(&self, error: Json) -> Bytes {
        #[cfg(feature = "legacy")]
        if let Kind::Legacy(method) = &self.kind
            && *method == Method::RESOURCES_READ
        {
            return write::error(Some(&self.id), &not_found(error));
        }
        write::error(Some(&self.id), &error)
    }

    fn tag(&self, params: &Params) -> Params {
        params.edit_meta(&[Edit::Set(meta::SUBSCRIPTION_ID, self.id.as_str().as_bytes())])
    }

    fn tagged(&self, result: Json) -> Json {
        Params::parse(result.clone()).map_or(result, |params| Json::from(&self.tag(&params)))
    }
}

/// Members a modern result must have, with what they are where a server of an earlier revision left them out.
const STAMPS: [(&str, &str); 3] = [("resultType", "\"complete\""), ("ttlMs", "0"), ("cacheScope", "\"private\"")];

/// A frame with the result, and with those of `stamps` it lacks; its bytes are copied once, into the frame.
fn stamped(id: &Id, result: &Json, stamps: &[(&str, &str)]) -> Bytes {
    let Some(rest) = result.as_bytes().strip_prefix(b"{") else { return write::result(id, result) };
    let absent = stamps.iter().filter(|(key, _)| !has(result, key));
    // 128: the fixed members and all stamps.
    let mut out = Vec::with_capacity(rest.len() + id.as_str().len() + 128);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_str().as_bytes());
    out.extend_from_slice(b",\"result\":{");
    for (key, value) in absent {
        object::push_member(&mut out, key, value.as_bytes());
    }
    if out.last() != Some(&b'{') && !rest.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out.push(b'}');
    out.into()
}

/// Whether an object has the member. Most results do not even hold its name, which is seen without parsing.
fn has(result: &Json, key: &str) -> bool {
    memmem::find(result.as_bytes(), key.as_bytes()).is_some() && result.member(key).is_some()
}

/// The status of a response that is a server's error (2026-07-28, "basic/transports/streamable-http").
fn status(error: &Json) -> StatusCode {
    match error.member("code").and_then(|code| code.read::<i64>().ok()) {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32022..=-32020) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// A read of an unknown resource is −32602 with its URI in 2026-07-28, −32002 before.
#[cfg(feature = "legacy")]
fn not_found(error: Json) -> Json {
    let code = error.member("code").and_then(|code| code.read::<i64>().ok());
    let uri = error.member("data").and_then(|data| data.member("uri"));
    if code != Some(-32602) || uri.is_none() {
        return error;
    }
    object::edit(error.as_bytes(), &[Edit::Set("code", b"-32002")]).map_or(error, Json::trusted)
}
