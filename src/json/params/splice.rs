use super::places::{Member, Places, Span};
use bytes::Bytes;
use std::ops::Range;

/// A copy of a text in which single ranges are replaced, from the first to the last, and which knows where everything
/// else has gone.
pub(super) struct Splice<'a> {
    old: &'a [u8],
    out: Vec<u8>,
    copied: usize,
    /// Ends of replaced ranges, and where what follows them stands now.
    moves: [(u32, u32); MAX],
    count: usize,
}

/// One range for each known member of `_meta`, and one for the new ones.
const MAX: usize = 8;

impl<'a> Splice<'a> {
    /// `grown` is how much longer the text will be at most, in bytes.
    pub(super) fn new(old: &'a [u8], grown: usize) -> Self {
        let out = Vec::with_capacity(old.len() + grown);
        Self { old, out, copied: 0, moves: [(0, 0); MAX], count: 0 }
    }

    /// Replaces a range by what `write` appends; says where that stands.
    pub(super) fn replace(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        self.out.extend_from_slice(&self.old[self.copied..range.start]);
        let start = self.out.len() as u32;
        write(&mut self.out);
        let end = self.out.len() as u32;
        self.copied = range.end;
        self.moves[self.count] = (range.end as u32, end);
        self.count += 1;
        Span { start, end }
    }

    /// Gives a member another value.
    pub(super) fn set(&mut self, member: Member, value: &[u8]) -> Member {
        let old = member.value;
        let value = self.replace(old.start as usize..old.end as usize, |out| out.extend_from_slice(value));
        Member { key: value.start - (old.start - member.key), value }
    }

    /// Takes a member out, with the comma that parted it from its neighbour.
    pub(super) fn remove(&mut self, member: Member) -> Member {
        let (start, end) = (member.key as usize, member.value.end as usize);
        let space = |at: usize| self.old[at..].len() - self.old[at..].trim_ascii_start().len();
        let after = end + space(end);
        if self.old.get(after) == Some(&b',') {
            self.replace(start..after + 1 + space(after + 1), |_| {});
        } else {
            // The last one leaves the comma before it behind.
            self.replace(start..end, |out| {
                let kept = out.trim_ascii_end();
                if kept.last() == Some(&b',') {
                    out.truncate(kept.len() - 1);
                }
            });
        }
        Member::default()
    }

    /// The new text, and `places` of the old one in it. Where replaced values stand, [`replace`](Self::replace) said.
    pub(super) fn finish(mut self, places: &mut Places) -> Bytes {
        self.out.extend_from_slice(&self.old[self.copied..]);
        let moves = &self.moves[..self.count];
        let moved = |at: u32| match moves.iter().rev().find(|(end, _)| *end <= at) {
            Some((end, now)) => at - end + now,
            None => at,
        };
        for member in places.each_mut().filter(|member| member.value.is_some()) {
            // By its last byte, because what is put in behind a value is not of it.
            let value = Span { start: moved(member.value.start), end: moved(member.value.end - 1) + 1 };
            *member = Member { key: moved(member.key), value };
        }
        self.out.into()
    }
}

/// Appends a member to an object whose closing bracket is still to come; says where it stands. `key` is one of those that are
/// known, in none of which anything is escaped.
pub(super) fn append(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) -> Member {
    if out.trim_ascii_end().last() != Some(&b'{') {
        out.push(b',');
    }
    let at = out.len() as u32;
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    let start = out.len() as u32;
    value(out);
    Member { key: at, value: Span { start, end: out.len() as u32 } }
}
