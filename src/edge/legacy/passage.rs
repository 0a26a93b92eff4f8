use super::history::History;
use crate::edge::message::Message;
use bytes::Bytes;

/// A message that is said in pieces, with what has been said of it: a client whose connection breaks meanwhile can have it as a
/// whole, where it is no larger than what is kept of any other.
pub(super) struct Passage {
    reader: u64,
    pieces: Vec<Bytes>,
    length: usize,
}

impl Passage {
    /// Begins to say a message to this reader.
    pub(super) fn new(reader: u64) -> Self {
        Self { reader, pieces: Vec::new(), length: 0 }
    }

    /// Whether this reader has had it from its beginning on.
    pub(super) fn is_read_by(&self, reader: u64) -> bool {
        self.reader == reader
    }

    pub(super) fn add(&mut self, text: &Message) {
        self.length += text.len();
        if self.length > History::MAX_BYTES {
            self.pieces = Vec::new();
        } else {
            let mut text = text.clone();
            self.pieces.extend(std::iter::from_fn(|| text.piece()));
        }
    }

    /// The message; `None` if it was too large to be kept.
    pub(super) fn whole(self) -> Option<Bytes> {
        (self.length <= History::MAX_BYTES).then(|| self.pieces.concat().into())
    }
}
