use bytes::Bytes;

/// A payload below this many bytes is copied into one piece with what stands around it: a second piece costs more to
/// write than these cost to copy.
const JOINED: usize = 16 << 10;

/// A message to a client: a payload that is shared with whoever made it, between bytes of its own.
///
/// A large result goes from the server's connection to the client's, or from the table to a thousand clients, without
/// being copied.
#[derive(Clone, Debug)]
pub(super) struct Message {
    before: Bytes,
    payload: Bytes,
    after: &'static [u8],
}

impl Message {
    /// The payload behind several texts and before one.
    pub(super) fn around(before: &[&[u8]], payload: Bytes, after: &'static [u8]) -> Self {
        if payload.len() >= JOINED {
            let (payload, after) = behind(payload, after);
            return Self { before: before.concat().into(), payload, after };
        }
        let length = before.iter().map(|text| text.len()).sum::<usize>() + payload.len() + after.len();
        // Of this length exactly, so that it becomes `Bytes` as it is.
        let mut whole = Vec::with_capacity(length);
        before.iter().for_each(|text| whole.extend_from_slice(text));
        whole.extend_from_slice(&payload);
        whole.extend_from_slice(after);
        Bytes::from(whole).into()
    }

    pub(super) fn len(&self) -> usize {
        self.before.len() + self.payload.len() + self.after.len()
    }

    /// The next piece, if anything is left.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        [&mut self.before, &mut self.payload].into_iter().find(|piece| !piece.is_empty()).map(std::mem::take).or_else(
            || {
                let after = std::mem::take(&mut self.after);
                (!after.is_empty()).then(|| Bytes::from_static(after))
            },
        )
    }

    /// Appends all of it.
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        for piece in [&self.before[..], &self.payload, self.after] {
            out.extend_from_slice(piece);
        }
    }

    /// All of it in one piece, which copies a large one.
    #[cfg(any(feature = "legacy", test))]
    pub(super) fn into_bytes(self) -> Bytes {
        if self.payload.is_empty() && self.after.is_empty() {
            return self.before;
        }
        let mut whole = Vec::with_capacity(self.len());
        self.append_to(&mut whole);
        whole.into()
    }
}

/// Writes `after` behind a payload that nobody else holds, where its own message ended: a last piece of a byte or two would
/// be a write of its own. What does not fit is given back.
#[inline(never)]
fn behind(payload: Bytes, after: &'static [u8]) -> (Bytes, &'static [u8]) {
    match payload.try_into_mut() {
        Ok(mut own) if own.capacity() - own.len() >= after.len() => {
            own.extend_from_slice(after);
            (own.freeze(), b"")
        }
        Ok(own) => (own.freeze(), after),
        Err(shared) => (shared, after),
    }
}

impl From<Bytes> for Message {
    fn from(before: Bytes) -> Self {
        Self { before, payload: Bytes::new(), after: b"" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(mut message: Message) -> Vec<Bytes> {
        std::iter::from_fn(|| message.piece()).collect()
    }

    #[test]
    fn a_small_message_is_one_piece_and_a_large_one_shares_its_payload() {
        let small = Message::around(&[b"<"], Bytes::from_static(b"x"), b">");
        assert_eq!((small.len(), pieces(small)), (3, vec![Bytes::from_static(b"<x>")]));
        let payload = Bytes::from(vec![b'x'; JOINED]);
        let large = Message::around(&[b"<"], payload.clone(), b">");
        assert_eq!(large.len(), JOINED + 2);
        assert_eq!(large.clone().into_bytes().len(), JOINED + 2);
        let pieces = pieces(large);
        assert_eq!((&pieces[0], &pieces[2]), (&Bytes::from_static(b"<"), &Bytes::from_static(b">")));
        assert_eq!(pieces[1].as_ptr(), payload.as_ptr());
    }

    #[test]
    fn the_end_is_written_behind_a_payload_that_nobody_else_holds() {
        let whole = Bytes::from([&b"result"[..], &vec![b'x'; JOINED], b"}"].concat());
        let payload = whole.slice(6..6 + JOINED);
        let place = payload.as_ptr();
        drop(whole);
        let pieces = pieces(Message::around(&[b"<"], payload, b">"));
        assert_eq!((pieces.len(), pieces[1].len()), (2, JOINED + 1));
        assert_eq!((pieces[1].as_ptr(), pieces[1][JOINED]), (place, b'>'));
    }
}
