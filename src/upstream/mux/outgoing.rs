use bytes::Bytes;
use std::collections::VecDeque;

/// Cancellations and answers that wait for a peer that does not read; further ones are dropped, because both are
/// advice to a peer that evidently takes none.
pub const MAX_OUTGOING: usize = 1024;
/// Bytes of them: an answer is as large as its client made it, and the peer may ask again for each. A single larger one is
/// still taken if nothing else waits.
pub const MAX_OUTGOING_BYTES: usize = 16 << 20;

/// Frames nobody waits for, in the order in which they are to be written.
#[derive(Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Outgoing {
    /// Keeps a frame under the bounds; `false` if it had to be dropped.
    pub(super) fn push(&mut self, frame: Bytes) -> bool {
        let is_full = self.frames.len() >= MAX_OUTGOING || self.bytes.saturating_add(frame.len()) > MAX_OUTGOING_BYTES;
        if is_full && !self.is_empty() {
            return false;
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
        true
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_does_not_read_is_bounded_in_bytes_too() {
        let mut outgoing = Outgoing::default();
        let half = Bytes::from(vec![b'x'; MAX_OUTGOING_BYTES / 2]);
        assert!(outgoing.push(half.clone()) && outgoing.push(half));
        assert!(!outgoing.push(Bytes::from_static(b"{}")));
        assert!(outgoing.pop().is_some());
        assert!(outgoing.push(Bytes::from_static(b"{}")), "what is read makes room");
        assert!(outgoing.pop().is_some() && outgoing.pop().is_some());
        assert!(outgoing.push(vec![b'x'; MAX_OUTGOING_BYTES + 1].into()), "one that nothing stands before");
        assert!(!outgoing.push(Bytes::from_static(b"{}")));
    }
}
