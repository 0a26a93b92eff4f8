use super::{
    Fault, Id, Json, Malformed, Members, Params,
    object::{self, Raw},
    params::{Amiss, Places, TELLS},
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
        let walked = parts.opening(&bytes).and_then(|opening| {
            object::visit_behind(&bytes, opening, |scanner, key| parts.take(scanner, &bytes, &key.name))
        });
        let read = walked.and_then(|()| parts.kind(&bytes, decides));
        match read {
            Ok(kind) => Ok(parts.finish(&bytes, kind)),
            Err(error) => Err(parts.refuse(&bytes, error)),
        }
    }
}

/// As nearly every message begins.
const OPENING: &[u8] = br#"{"jsonrpc":"2.0","#;
/// Where in it the version stands.
const VERSION: Range<usize> = 11..16;

/// As most notes of progress go on behind that, up to their parameters; no message is more frequent.
const PROGRESS: &[u8] = br#""method":"notifications/progress","params":"#;
/// Where in such a note the method stands, and its parameters begin.
const METHOD: Range<usize> = OPENING.len() + 9..PARAMS - 10;
const PARAMS: usize = OPENING.len() + PROGRESS.len();

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
    /// Takes what a message begins with that is compared and not read, if it begins so.
    #[inline]
    fn opening(&mut self, bytes: &'a Bytes) -> Result<&'a [u8], Malformed> {
        if !bytes.starts_with(OPENING) {
            return Ok(b"");
        }
        self.version = Some(Raw::new(&bytes[VERSION]));
        let tells = bytes[OPENING.len()..].strip_prefix(PROGRESS).is_some_and(|params| params.starts_with(TELLS));
        if !tells {
            return Ok(OPENING);
        }
        self.method = Some(Raw::new(&bytes[METHOD]));
        let mut scanner = Scanner::within(bytes, PARAMS, 1);
        self.params = Some(Raw::new(self.places.scan_told(&mut scanner, &mut self.amiss)?));
        Ok(&bytes[..scanner.at()])
    }

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
mod tests;
