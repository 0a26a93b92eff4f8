#[cfg(feature = "legacy")]
use super::legacy::results;
use super::message::Message;
use crate::{
    BoxError, Method,
    error::{Problem, explain},
    json::{Id, Json, Members, Params, object::Edit, write},
    meta,
    reply::{Note, Outcome},
};
use bytes::Bytes;
use http::StatusCode;

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

    #[cfg(feature = "legacy")]
    pub(super) fn note(&self, note: &Note) -> Bytes {
        write::notification(&note.method, note.params.as_bytes())
    }

    pub(super) fn append_note(&self, note: &Note, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Listen => write::append_notification(out, &note.method, self.tag(&note.params).as_bytes()),
            _ => write::append_notification(out, &note.method, note.params.as_bytes()),
        }
    }

    /// The answer, with the status of a response that holds nothing else.
    pub(super) fn done(&self, outcome: Outcome) -> (StatusCode, Message) {
        match outcome {
            Outcome::Result(result) => (StatusCode::OK, self.result(result)),
            Outcome::Error(error) => {
                let status = status(&error);
                (self.status(status), self.error(error).into())
            }
            Outcome::Accepted => self.no_answer("a request was taken for a notification"),
            Outcome::Passed(_) => self.no_answer("a result came in parts to somebody who reads none"),
        }
    }

    fn no_answer(&self, why: &'static str) -> (StatusCode, Message) {
        let problem = self.failed(&*BoxError::from(why));
        (problem.status, self.problem(&problem).into())
    }

    /// The beginning of an answer whose result begins with `first`.
    pub(super) fn opening(&self, first: Bytes) -> Message {
        Message::around(&[OPEN, self.id.as_bytes(), RESULT], first, b"")
    }

    /// The end of an answer whose result has these members, and of which all went ahead but its last bracket.
    pub(super) fn closing(&self, members: Members) -> Message {
        let stamps = match self.kind {
            Kind::Modern { cacheable } => stamps(cacheable),
            Kind::Listen => &STAMPS[..1],
            #[cfg(feature = "legacy")]
            Kind::Legacy(_) => &[],
        };
        let mut out = Vec::new();
        for (_, member) in stamps.iter().filter(|(key, _)| members.has(key) == Some(false)) {
            if !out.is_empty() || !members.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(member.as_bytes());
        }
        out.extend_from_slice(b"}}");
        Bytes::from(out).into()
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

    fn result(&self, result: Json) -> Message {
        let stamps = match &self.kind {
            Kind::Modern { cacheable } => stamps(*cacheable),
            Kind::Listen => return self.stamped(&self.tagged(result), &STAMPS[..1]),
            #[cfg(feature = "legacy")]
            Kind::Legacy(method) => {
                let result = match method {
                    method if *method == Method::TOOLS_CALL => results::called(result),
                    method if *method == Method::TOOLS_LIST => results::listed(result),
                    _ => result,
                };
                return self.stamped(&result, &[]);
            }
        };
        self.stamped(&result, stamps)
    }

    /// A frame with the result, and with those of `stamps` it lacks.
    fn stamped(&self, result: &Json, stamps: &[(&str, &str)]) -> Message {
        let Some((b'{', rest)) = result.as_bytes().split_first() else {
            return write::result(&self.id, result).into();
        };
        let mut before: [&[u8]; 4 + 2 * STAMPS.len()] = [b""; _];
        before[..4].copy_from_slice(&[OPEN, self.id.as_bytes(), RESULT, b"{"]);
        let mut end = 4;
        for (_, member) in stamps.iter().filter(|(key, _)| !result.has(key)) {
            before[end..end + 2].copy_from_slice(&[member.as_bytes(), b","]);
            end += 2;
        }
        // Nothing for a comma to part from in an object without other members.
        if end > 4 && rest.trim_ascii_start().starts_with(b"}") {
            before[end - 1] = b"";
        }
        Message::around(&before, result.as_bytes().slice(1..), b"}")
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
        params.edit_meta(&[Edit::Set(meta::SUBSCRIPTION_ID, self.id.as_bytes())])
    }

    fn tagged(&self, result: Json) -> Json {
        Params::parse(result.clone()).map_or(result, |params| Json::from(&self.tag(&params)))
    }
}

/// Members a modern result must have, each with what it is where a server of an earlier revision left it out.
const STAMPS: [(&str, &str); 3] = [
    ("resultType", r#""resultType":"complete""#),
    ("ttlMs", r#""ttlMs":0"#),
    ("cacheScope", r#""cacheScope":"private""#),
];

fn stamps(cacheable: bool) -> &'static [(&'static str, &'static str)] {
    if cacheable { &STAMPS } else { &STAMPS[..1] }
}

/// What stands before the id of an answer with a result, and between the two.
const OPEN: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
const RESULT: &[u8] = br#","result":"#;

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
    crate::json::object::edit(error.as_bytes(), &[Edit::Set("code", b"-32002")]).map_or(error, Json::trusted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Walk;
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_large_answer_is_the_same_in_pieces() {
        let long = "x".repeat(64 << 10);
        for result in [
            format!(r#"{{"content":"{long}"}}"#),
            format!(r#"{{ "resultType":"complete","ttlMs":1,"cacheScope":"public","content":"{long}"}}"#),
            format!("{{{}}}", " ".repeat(64 << 10)),
            format!("[{}]", "1,".repeat(64 << 10) + "1"),
        ] {
            for method in [Method::TOOLS_CALL, Method::TOOLS_LIST, Method::LISTEN] {
                let writer = Writer::modern(Id::from(7), &method);
                let outcome = || Outcome::Result(Json::parse(result.clone()).unwrap());
                let (status, message) = writer.done(outcome());
                let body = super::super::Body::from(message.clone());
                let size = http_body::Body::size_hint(&body).exact().unwrap();
                let whole = body.collect().await.unwrap().to_bytes();
                assert_eq!((status, &whole), (StatusCode::OK, &message.into_bytes()));
                assert_eq!(size, whole.len() as u64);
                Json::parse(whole).unwrap();
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![any::<i64>().prop_map(Value::from), "[a\"\\\\é]{0,3}".prop_map(Value::from), Just(Value::Null)];
        leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
    }

    proptest! {
        /// parse(splice(x)) = edit(parse(x)): a result gets what it lacks, and a listener's also the name of its request.
        #[test]
        fn what_is_written_is_the_result_with_what_it_lacked(
            members in prop::collection::btree_map("[a-c\"\\\\]{0,2}|resultType|ttlMs|cacheScope", value(), 0..5),
            meta in prop::option::of(prop::collection::btree_map("[a-c]", value(), 0..3)),
            space in "[ \n]{0,2}",
            cacheable in any::<bool>(),
            listens in any::<bool>(),
        ) {
            let mut value = Value::Object(members.into_iter().collect());
            if let Some(meta) = meta {
                value["_meta"] = json!(meta);
            }
            let text = format!("{space}{}{space}", serde_json::to_string_pretty(&value).unwrap());
            let method = match (listens, cacheable) {
                (true, _) => Method::LISTEN,
                (false, true) => Method::TOOLS_LIST,
                (false, false) => Method::TOOLS_CALL,
            };
            let writer = Writer::modern(Id::from(7), &method);
            let result = Json::parse(text).unwrap();
            let in_parts = (!listens).then(|| {
                let mut walk = Walk::object(1);
                let all = walk.take(result.as_bytes()).unwrap();
                let first = writer.opening(result.as_bytes().slice(..all - 1)).into_bytes();
                [first, writer.closing(walk.members()).into_bytes()].concat()
            });
            let (_, frame) = writer.done(Outcome::Result(result));
            let object = value.as_object_mut().unwrap();
            for (key, member) in stamps(cacheable && !listens) {
                let stamp: Value = serde_json::from_str(&format!("{{{member}}}")).unwrap();
                object.entry(*key).or_insert_with(|| stamp[key].clone());
            }
            if listens {
                value["_meta"]["io.modelcontextprotocol/subscriptionId"] = json!(7);
            }
            let written: Value = serde_json::from_slice(&frame.into_bytes()).unwrap();
            let wanted = json!({ "jsonrpc": "2.0", "id": 7, "result": value });
            if let Some(in_parts) = in_parts {
                prop_assert_eq!(&serde_json::from_slice::<Value>(&in_parts).unwrap(), &wanted);
            }
            prop_assert_eq!(written, wanted);
        }
    }
}
