use super::{
    Fault, Id, Json, Malformed, Members, Params,
    object::{self, Raw},
    params::{Amiss, Places},
    scan::Scanner,
};
use crate::Method;
use bytes::Bytes;
use std::ops::Range;

/// One JSON-RPC 2.0 message; parameters and results are slices of the bytes it was parsed from.
///
/// ```
/// use tower_mcp_gateway::{Method, json::Message};
///
/// let text = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}}"#;
/// match Message::parse(text.into())? {
///     Message::Request { id, method, params } => {
///         assert_eq!((id.as_str(), method, params.name().as_deref()), ("7", Method::TOOLS_CALL, Some("echo")));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub enum Message {
    /// Wants an answer with the same id.
    Request {
        /// The sender's id.
        id: Id,
        /// What is asked.
        method: Method,
        /// The parameters, `{}` where the sender left them out.
        params: Params,
    },
    /// Wants none.
    Notification {
        /// What is told.
        method: Method,
        /// The parameters, `{}` where the sender left them out.
        params: Params,
    },
    /// Answers a request.
    Response {
        /// The request's id; `None` where the peer could not read it.
        id: Option<Id>,
        /// `Ok` the result, `Err` the error object.
        outcome: Result<Json, Json>,
    },
}

impl Message {
    /// Parses one message in one borrowed pass.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the request's id where it could be read: not JSON, a batch, a member that stands twice,
    /// an id that is no string or integer, both a result and an error, and in the parameters of a request a member that may be
    /// taken for [another](Fault::Alike).
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        Self::read(bytes, true)
    }

    /// As [`parse`](Self::parse), of a message by which nothing is decided: what a server asks may have any members.
    pub(crate) fn of_server(bytes: Bytes) -> Result<Self, Malformed> {
        Self::read(bytes, false)
    }

    fn read(bytes: Bytes, decides: bool) -> Result<Self, Malformed> {
        let mut parts = Parts::default();
        // As nearly every message begins.
        let opening = if bytes.starts_with(OPENING) { OPENING } else { b"" };
        parts.version = opening.get(VERSION).map(Raw::new);
        let walked = object::visit_behind(&bytes, opening, |scanner, key| parts.take(scanner, &bytes, &key.name));
        let read = walked.and_then(|()| parts.kind(&bytes, decides));
        match read {
            Ok(kind) => Ok(parts.finish(&bytes, kind)),
            Err(error) => Err(parts.refuse(&bytes, error)),
        }
    }
}

const OPENING: &[u8] = br#"{"jsonrpc":"2.0","#;
/// Where in it the version stands.
const VERSION: Range<usize> = 11..16;

fn id(bytes: &Bytes, raw: Raw<'_>) -> Result<Id, Malformed> {
    Id::from_json(Json::trusted(bytes.slice_ref(raw.as_bytes())))
}

/// What a message is, as far as it must be read to know that.
enum Kind<'a> {
    /// It is a request if it has an id.
    Asks(Method, Option<Id>),
    Result(Id, Raw<'a>, Members),
    /// Without an id it answers what could not be read.
    Error(Option<Id>, Raw<'a>),
}

/// The members of a message, as they are met.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) version: Option<Raw<'a>>,
    pub(super) id: Option<Raw<'a>>,
    pub(super) method: Option<Raw<'a>>,
    params: Option<Raw<'a>>,
    /// Where the members of the parameters stand, and what is wrong with them.
    places: Places,
    amiss: Amiss,
    pub(super) result: Option<(Raw<'a>, Members)>,
    pub(super) error: Option<Raw<'a>>,
}

impl<'a> Parts<'a> {
    pub(super) fn take(&mut self, scanner: &mut Scanner<'a>, bytes: &'a Bytes, key: &[u8]) -> Result<(), Malformed> {
        let place = match key {
            b"jsonrpc" => &mut self.version,
            b"id" => &mut self.id,
            b"method" => &mut self.method,
            b"error" => &mut self.error,
            b"params" => return self.params(scanner),
            b"result" => return self.result(scanner, bytes),
            _ => return scanner.value().map(drop),
        };
        match place.replace(Raw::new(scanner.value()?)) {
            Some(_) => Err(Malformed::new(Fault::Duplicate(object::text(key).into()))),
            None => Ok(()),
        }
    }

    /// Parameters must be an object; some senders write `null` for none. What else is wrong with them is told when the
    /// request's id is known, which may stand behind them.
    fn params(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        let params = match scanner.peek() {
            Some(b'{') => self.places.scan(scanner, &mut self.amiss)?,
            Some(b'n') => {
                scanner.value()?;
                return Ok(());
            }
            _ => {
                self.amiss.always = Some(Malformed::shape("\"params\" must be an object"));
                scanner.value()?
            }
        };
        match self.params.replace(Raw::new(params)) {
            Some(_) => Err(Malformed::new(Fault::Duplicate("params".into()))),
            None => Ok(()),
        }
    }

    /// A result is an object; what else it may be is for its reader to say.
    fn result(&mut self, scanner: &mut Scanner<'a>, bytes: &'a Bytes) -> Result<(), Malformed> {
        let mut members = Members::none();
        let text = match scanner.peek() {
            Some(b'{') => {
                let start = scanner.at();
                scanner.members(|scanner, key| scanner.value().map(|value| members.note_value(&key.name, value)))?;
                &bytes[start..scanner.at()]
            }
            _ => scanner.value()?,
        };
        match self.result.replace((Raw::new(text), members)) {
            Some(_) => Err(Malformed::new(Fault::Duplicate("result".into()))),
            None => Ok(()),
        }
    }

    fn kind(&mut self, bytes: &Bytes, decides: bool) -> Result<Kind<'a>, Malformed> {
        if self.version.map(Raw::as_bytes) != Some(b"\"2.0\"") {
            return Err(Malformed::shape("\"jsonrpc\" must be \"2.0\""));
        }
        let id = self.id.map(|raw| id(bytes, raw));
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => {
                let method = Method::from_raw(method)?;
                if let Some(amiss) = self.amiss.always.take() {
                    return Err(amiss);
                }
                let id = id.transpose()?;
                match self.amiss.asking.take().filter(|_| decides && id.is_some()) {
                    Some(amiss) => Err(amiss),
                    None => Ok(Kind::Asks(method, id)),
                }
            }
            (None, Some((text, members)), None) => {
                let id = id.unwrap_or_else(|| Err(Malformed::shape("a result without an id")))?;
                Ok(Kind::Result(id, text, members))
            }
            // An error that answers an unreadable request has a null id, or none.
            (None, None, Some(text)) => Ok(Kind::Error(id.and_then(Result::ok), text)),
            (None, None, None) => Err(Malformed::shape("neither a method nor a result nor an error")),
            _ => Err(Malformed::shape("more than one of method, result and error")),
        }
    }

    /// The message, made where it is to lie: it is large, and moved often enough.
    #[inline]
    fn finish(self, bytes: &Bytes, kind: Kind<'_>) -> Message {
        let slice = |raw: Raw<'_>| bytes.slice_ref(raw.as_bytes());
        match kind {
            Kind::Asks(method, id) => {
                let params = match self.params {
                    Some(raw) => Params::scanned(slice(raw), self.places),
                    None => Params::empty(),
                };
                match id {
                    Some(id) => Message::Request { id, method, params },
                    None => Message::Notification { method, params },
                }
            }
            Kind::Result(id, text, members) => {
                Message::Response { id: Some(id), outcome: Ok(Json::scanned(slice(text), members)) }
            }
            Kind::Error(id, text) => Message::Response { id, outcome: Err(Json::trusted(slice(text))) },
        }
    }

    #[cold]
    fn refuse(&self, bytes: &Bytes, error: Malformed) -> Malformed {
        let asks = self.method.is_some() && self.result.is_none() && self.error.is_none();
        let known = self.id.and_then(|id| self::id(bytes, id).ok());
        error.with_id(known).asking(asks)
    }
}

/// The most messages of one batch. An element costs some fifty bytes beside its text, so an array of single digits
/// would take twenty times its size; no peer sends more than a few messages at once.
pub const MAX_BATCH: usize = 1024;

/// The elements of a JSON array, sharing its bytes; `None` if the text is no array. Revision 2025-03-26 sends batches.
///
/// ```
/// use tower_mcp_gateway::json::{MAX_BATCH, elements};
///
/// assert_eq!(elements(&"[1, {}]".into(), MAX_BATCH)?.unwrap(), ["1", "{}"]);
/// assert!(elements(&"{}".into(), MAX_BATCH)?.is_none());
/// assert!(elements(&"[1, 2, 3]".into(), 2).is_err());
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
///
/// # Errors
///
/// [`Malformed`] if the text is not JSON, or has more than `max` elements.
pub fn elements(bytes: &Bytes, max: usize) -> Result<Option<Vec<Bytes>>, Malformed> {
    let mut scanner = Scanner::new(bytes);
    if !scanner.enter(b'[') {
        scanner.value()?;
        return scanner.end().map(|()| None);
    }
    let mut elements = Vec::new();
    if !scanner.take(b']') {
        loop {
            let element = scanner.value()?;
            if elements.len() == max {
                return Err(Malformed::shape("too many elements"));
            }
            elements.push(bytes.slice_ref(element));
            if scanner.take(b']') {
                break;
            }
            scanner.expect(b',', "a comma or a closing bracket")?;
        }
    }
    scanner.end()?;
    Ok(Some(elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, Malformed> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        let request = parse(r#"{"jsonrpc":"2.0","id":"x","method":"tools/list"}"#).unwrap();
        assert!(
            matches!(request, Message::Request { id, params, .. } if id.as_str() == "\"x\"" && params.as_str() == "{}")
        );
        let note = parse(r#"{"method":"notifications/initialized","jsonrpc":"2.0","params":{"a":1}}"#).unwrap();
        assert!(matches!(note, Message::Notification { params, .. } if params.as_str() == r#"{"a":1}"#));
        let result = parse(r#"{"jsonrpc":"2.0","result":[1],"id":3}"#).unwrap();
        assert!(matches!(result, Message::Response { id: Some(id), outcome: Ok(_) } if id.as_u64() == Some(3)));
        let error = parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#).unwrap();
        assert!(matches!(error, Message::Response { id: None, outcome: Err(_) }));
    }

    #[test]
    fn a_faulty_message_is_refused_with_the_id_it_carries() {
        for text in [
            r#"{"id":5,"method":"a"}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"a","method":"b"}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"a","params":[]}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":5,"method":"a","jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":5,"result":1,"error":{}}"#,
            r#"{"jsonrpc":"2.0","id":5}"#,
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.is_json(), "{text}: {error}");
            assert_eq!(error.id().and_then(Id::as_u64), Some(5), "{text}: {error}");
            assert_eq!(error.asks(), text.contains("method"), "{text}");
        }
        for text in ["", "[]", "{", "nonsense", "{}}", r#"{"jsonrpc":"2.0","#, r#"{"jsonrpc":"2.0",}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#).unwrap_err().is_json());
        assert!(!parse(r#"{"jsonrpc":"2.0","id":1,"method":"a""#).unwrap_err().is_json());
    }

    #[test]
    fn a_member_that_may_be_taken_for_another_is_refused_in_a_request_and_nowhere_else() {
        let message =
            |id: &str, params: &str| parse(&format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params}{id}}}"#));
        for (params, member) in [
            (r#"{"name":"read_file","Name":"delete_file"}"#, "Name"),
            (r#"{"NAME":"delete_file","name":"read_file"}"#, "NAME"),
            (r#"{"uri":"a","Uri":"b"}"#, "Uri"),
            (r#"{"name":"a","argument\u017f":{}}"#, "argument\u{17f}"),
            (r#"{"name":"a","name\u0000":"b"}"#, "name\\0"),
            (r#"{"name":"a","_Meta":{}}"#, "_Meta"),
            (r#"{"name":"a","_meta":{"progresstoken":1}}"#, "progresstoken"),
            (r#"{"name":"a","_meta":{"IO.modelcontextprotocol/logLevel":1}}"#, "IO.modelcontextprotocol/logLevel"),
            (r#"{"name":"a","RequestState":"s"}"#, "RequestState"),
            (r#"{"ref":{"type":"ref/prompt","name":"a"},"Ref":{}}"#, "Ref"),
            (r#"{"ref":{"type":"ref/prompt","name":"a","Name":"b"}}"#, "Name"),
            (r#"{"ref":{"Type":"ref/resource","type":"ref/prompt"}}"#, "Type"),
        ] {
            let error = message(r#","id":5"#, params).unwrap_err();
            assert!(matches!(error.fault(), Fault::Alike { .. }), "{params}: {error}");
            assert!(error.to_string().contains(&format!("\"{member}\"")), "{params}: {error}");
            assert!(error.is_json() && error.asks() && error.id().and_then(Id::as_u64) == Some(5), "{params}");
            assert!(message("", params).is_ok(), "nothing is decided by a notification: {params}");
            let asked = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params},"id":5}}"#);
            assert!(Message::of_server(asked.into()).is_ok(), "nor by a question of a server: {params}");
        }
        for params in [
            r#"{"name":"a","arguments":{"Name":1,"NAME":2,"URI":3,"name\u0000":4,"_Meta":{"Name":5}}}"#,
            r#"{"name":"a","names":1,"title":"Name","_meta":{"traceparent":"x","Name":1,"name":2}}"#,
            r#"{"ref":{"type":"ref/prompt","name":"a","title":"A"},"argument":{"Name":"x"}}"#,
            r#"{"ref":["Name"]}"#,
        ] {
            assert!(message(r#","id":5"#, params).is_ok(), "{params}");
        }
    }

    #[test]
    fn a_result_knows_which_members_it_has_however_they_are_spelled() {
        let result = |text: &str| match parse(&format!(r#"{{"jsonrpc":"2.0","result":{text},"id":3}}"#)).unwrap() {
            Message::Response { outcome: Ok(result), .. } => result,
            other => panic!("{other:?}"),
        };
        let some = result(r#"{"a":{"ttlMs":1},"b":"resultType","\u0063acheScope":"x","structuredContent":{}}"#);
        assert!(some.has("structuredContent") && some.has("cacheScope"));
        assert!(!some.has("ttlMs") && !some.has("resultType"));
        assert!(some.has("a") && !some.has("c"), "also of members that are not noted");
        assert!(!result("[\"ttlMs\"]").has("ttlMs"));
        assert!(Json::from_static(r#"{"ttlMs":1}"#).has("ttlMs"));
    }

    #[cfg(feature = "legacy")]
    #[test]
    fn a_result_knows_whether_it_asks_for_more() {
        for (text, asks) in [
            (r#"{"resultType":"input_required","inputRequests":{}}"#, true),
            (r#"{"a":[1], "result\u0054ype" : "input_required" }"#, true),
            (r#"{"resultType":"complete","content":["input_required"]}"#, false),
            (r#"{"content":{"resultType":"input_required"}}"#, false),
            (r#"{"kind":"input_required"}"#, false),
            (r#"{}"#, false),
        ] {
            let parsed = parse(&format!(r#"{{"jsonrpc":"2.0","id":3,"result":{text}}}"#)).unwrap();
            let Message::Response { outcome: Ok(scanned), .. } = parsed else { panic!("{parsed:?}") };
            assert_eq!((scanned.asks(), Json::parse(text).unwrap().asks()), (asks, asks), "{text}");
        }
    }

    #[test]
    fn batches_are_split_without_copying() {
        let body = Bytes::from_static(b" [ {\"a\":1} , 2 ]");
        assert_eq!(elements(&body, MAX_BATCH).unwrap().unwrap(), ["{\"a\":1}", "2"]);
        assert_eq!(elements(&Bytes::from_static(b"{}"), MAX_BATCH).unwrap(), None);
        let array = |n: usize| elements(&Bytes::from(format!("[{}1]", "1,".repeat(n - 1))), MAX_BATCH);
        assert_eq!(array(MAX_BATCH).unwrap().unwrap().len(), MAX_BATCH);
        assert!(array(MAX_BATCH + 1).unwrap_err().is_json());
    }
}
