use super::error::Refusal;
use crate::json::{Id, Json, MAX_BATCH, Message, elements};
use bytes::Bytes;

/// What was posted.
pub(super) enum Incoming {
    One(Message),
    /// The elements of an array, not yet parsed.
    #[cfg(feature = "legacy")]
    Batch(Vec<Bytes>),
}

impl Incoming {
    /// One message, or the elements of a batch.
    pub(super) fn parse(bytes: Bytes) -> Result<Self, Refusal> {
        if !bytes.trim_ascii_start().starts_with(b"[") {
            return Self::message(bytes).map(Incoming::One);
        }
        match elements(&bytes, MAX_BATCH)? {
            #[cfg(feature = "legacy")]
            Some(elements) if !elements.is_empty() => Ok(Incoming::Batch(elements)),
            _ => Err(Refusal::invalid("a batch that is empty, or of a revision without batches")),
        }
    }

    /// One message.
    pub(super) fn message(bytes: Bytes) -> Result<Message, Refusal> {
        let large = bytes.len() > SHARED;
        let mut message = Message::parse(bytes)?;
        if let Message::Request { id, .. } = &mut message
            && large
        {
            *id = unshared(id);
        }
        Ok(message)
    }

    /// The id of a request.
    #[cfg(feature = "legacy")]
    pub(super) fn id(&self) -> Option<&Id> {
        match self {
            Incoming::One(message) => request_id(message),
            Incoming::Batch(_) => None,
        }
    }
}

/// The id of a request.
#[cfg(feature = "legacy")]
pub(super) fn request_id(message: &Message) -> Option<&Id> {
    match message {
        Message::Request { id, .. } => Some(id),
        _ => None,
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
