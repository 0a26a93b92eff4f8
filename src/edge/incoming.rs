use super::{error::Refusal, layer::Settings};
use crate::{
    BoxError, Method,
    error::{Problem, find},
    json::{Id, Json, MAX_BATCH, Message, Params, elements},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::future::poll_immediate;
use http::{HeaderMap, HeaderName, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::pin::pin;
use tokio::time::timeout;

/// What was posted.
pub(super) enum Incoming {
    Request {
        id: Id,
        method: Method,
        params: Params,
    },
    Notification {
        method: Method,
        params: Params,
    },
    Response {
        #[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "only sessions ask"))]
        id: Option<Id>,
        #[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "only sessions ask"))]
        outcome: Result<Json, Json>,
    },
    /// The elements of an array, not yet parsed.
    #[cfg(feature = "legacy")]
    Batch(Vec<Bytes>),
}

impl Incoming {
    /// Reads the whole body, never more of it nor for longer than is allowed, and parses it.
    pub(super) async fn read<B>(parts: &Parts, body: B, settings: &Settings) -> Result<Self, Refusal>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        check_types(&parts.headers)?;
        let limit = settings.max_request_bytes;
        // Known before a byte is read, if the sender says so; the size hint covers bodies without the header.
        if body.size_hint().lower() > limit as u64 || declared(&parts.headers) > limit as u64 {
            return Err(too_large());
        }
        let mut whole = pin!(gather(Limited::new(body, limit)));
        // Most bodies come with their head, and need no timer.
        let read = match poll_immediate(&mut whole).await {
            Some(read) => Ok(read),
            None => timeout(settings.body_timeout, whole).await,
        };
        match read {
            Ok(Ok(body)) => Self::parse(body),
            Ok(Err(error)) if find::<LengthLimitError>(&*error).is_some() => Err(too_large()),
            Err(_) => Err(Problem::rpc(408, -32600, "the body took too long to arrive").into()),
            Ok(Err(_)) => Err(Refusal::invalid("the body could not be read to its end")),
        }
    }

    /// One message, or the elements of a batch.
    pub(super) fn parse(bytes: Bytes) -> Result<Self, Refusal> {
        if !bytes.trim_ascii_start().starts_with(b"[") {
            return Self::parse_one(bytes);
        }
        match elements(&bytes, MAX_BATCH)? {
            #[cfg(feature = "legacy")]
            Some(elements) if !elements.is_empty() => Ok(Incoming::Batch(elements)),
            _ => Err(Refusal::invalid("a batch that is empty, or of a revision without batches")),
        }
    }

    /// One message.
    pub(super) fn parse_one(bytes: Bytes) -> Result<Self, Refusal> {
        let large = bytes.len() > SHARED;
        Ok(match Message::parse(bytes)? {
            Message::Request { id, method, params } => {
                Incoming::Request { id: if large { unshared(&id) } else { id }, method, params }
            }
            Message::Notification { method, params } => Incoming::Notification { method, params },
            Message::Response { id, outcome } => Incoming::Response { id, outcome },
        })
    }

    /// The id of a request.
    #[cfg(feature = "legacy")]
    pub(super) fn id(&self) -> Option<&Id> {
        match self {
            Incoming::Request { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The parameters of a request or notification.
    #[cfg(feature = "legacy")]
    pub(super) fn params(&self) -> Option<&Params> {
        match self {
            Incoming::Request { params, .. } | Incoming::Notification { params, .. } => Some(params),
            _ => None,
        }
    }
}

/// All of a body, as it came where it came in one piece.
///
/// Pieces are copied together rather than kept: of a body in chunks of one byte each, every byte would cost thirty.
async fn gather<B: http_body::Body>(body: B) -> Result<Bytes, B::Error> {
    let mut body = pin!(body);
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame?.into_data() else { continue };
        if first.is_empty() && all.is_empty() {
            first = data.copy_to_bytes(data.remaining());
            continue;
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.put(data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The largest body that is kept for its id. A call's id lives as long as the call does, its parameters only until they
/// are sent.
const SHARED: usize = 4 << 10;

/// A copy of its own, because a slice keeps the buffer that the whole request was read into.
pub(super) fn unshared(id: &Id) -> Id {
    let copy = Bytes::copy_from_slice(id.as_str().as_bytes());
    Id::from_json(Json::trusted(copy)).expect("a copy of an id")
}

fn too_large() -> Refusal {
    Problem::rpc(413, -32600, "the body is too large").into()
}

fn declared(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn check_types(headers: &HeaderMap) -> Result<(), Refusal> {
    let sent = one(headers, &header::CONTENT_TYPE).map(|sent| media_type(sent.as_bytes()));
    if !sent.is_some_and(|sent| sent.eq_ignore_ascii_case(b"application/json")) {
        return Err(Problem::new(415, "content_type", "the body must be application/json").into());
    }
    // A body is never decompressed: what a few bytes may become has no bound.
    let plain = |coding: &str| coding.trim().eq_ignore_ascii_case("identity");
    if headers.contains_key(header::CONTENT_ENCODING) && !one(headers, &header::CONTENT_ENCODING).is_some_and(plain) {
        return Err(Problem::new(415, "content_type", "the body must have no Content-Encoding").into());
    }
    match accepts(headers, &["application/json", "text/event-stream", "application/*", "text/*"]) {
        true => Ok(()),
        false => Err(not_acceptable()),
    }
}

/// The value of a header that stands once; of two, another reader may take the other.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
}

pub(super) fn not_acceptable() -> Refusal {
    Problem::new(406, "accept", "answers are application/json or text/event-stream").into()
}

/// Whether `Accept` names one of `types` or everything. Absent means everything; weights are not looked at.
pub(super) fn accepts(headers: &HeaderMap, types: &[&str]) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let mut ranges = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(media_type);
    ranges.any(|range| range == b"*/*" || types.iter().any(|known| range.eq_ignore_ascii_case(known.as_bytes())))
}

fn media_type(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}
