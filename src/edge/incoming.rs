use super::error::Refusal;
use crate::{
    Method,
    json::{Id, Json, MAX_BATCH, Message, Params, elements},
};
use bytes::Bytes;

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

/// The largest body that is kept for its id. A call's id lives as long as the call does, its parameters only until they
/// are sent.
const SHARED: usize = 4 << 10;

/// A copy of its own, because a slice keeps the buffer that the whole request was read into.
pub(super) fn unshared(id: &Id) -> Id {
    let copy = Bytes::copy_from_slice(id.as_str().as_bytes());
    Id::from_json(Json::trusted(copy)).expect("a copy of an id")
}
