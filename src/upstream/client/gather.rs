use bytes::{Bytes, BytesMut};
use std::mem;

/// A text that arrives in pieces; one that comes whole is not copied.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// All there is, while it is one piece.
    one: Bytes,
    many: BytesMut,
}

impl Gather {
    /// Makes room for so many bytes in all, for when it does not come whole.
    #[cfg(feature = "http")]
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.many.reserve(bytes);
    }

    /// Appends a piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.one = piece;
            return;
        }
        if !self.one.is_empty() {
            let one = mem::take(&mut self.one);
            self.many.reserve(one.len() + piece.len());
            self.many.extend_from_slice(&one);
        }
        self.many.extend_from_slice(&piece);
    }

    /// What has been gathered.
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.one.is_empty() { &self.many } else { &self.one }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Takes the first `end` bytes off.
    pub(crate) fn take(&mut self, end: usize) -> Bytes {
        if self.one.is_empty() { self.many.split_to(end).freeze() } else { self.one.split_to(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_as_one_and_a_single_one_is_shared() {
        let whole = Bytes::from_static(b"whole");
        let mut gather = Gather::default();
        gather.push(whole.clone());
        assert_eq!(gather.take(5).as_ptr(), whole.as_ptr());
        for piece in ["", "a", "", "bc", "d"] {
            gather.push(Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!(gather.take(3), "abc");
        gather.push(whole);
        assert_eq!(gather.take(gather.len()), "dwhole");
        assert_eq!(gather.len(), 0);
    }
}
