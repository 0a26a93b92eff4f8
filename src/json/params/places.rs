use super::alike::{self, Amiss};
use crate::{
    json::{Malformed, object::Seen, scan::Scanner},
    meta,
};
use std::{borrow::Cow, ops::Range};

/// The members of `_meta` that a gateway reads or writes on the way of a call.
const KNOWN: [&str; 6] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
    meta::PROGRESS_TOKEN,
    meta::SUBSCRIPTION_ID,
];

const OF_META: alike::Names = alike::Names::new(&KNOWN);

/// A bit for each member of parameters that is known by its name: that one stands twice is seen without a list of those met.
/// Those of a note of progress, which nobody reads, are among them because no message is more frequent.
const NAME: u16 = 1;
const URI: u16 = 1 << 1;
const META: u16 = 1 << 2;
const ARGUMENTS: u16 = 1 << 3;
const TOLD: u16 = 1 << 4;
const PROGRESS: u16 = 1 << 5;
const TOTAL: u16 = 1 << 6;
const MESSAGE: u16 = 1 << 7;
const CURSOR: u16 = 1 << 8;
const STATE: u16 = 1 << 9;
const RESPONSES: u16 = 1 << 10;
const REF: u16 = 1 << 11;

/// What the parameters of most notes of progress begin with.
pub(in crate::json) const TELLS: &[u8] = br#"{"progressToken":"#;

/// Where a value lies; nowhere if it is empty, as no value of JSON is. `u32` because a message is far below 4 GiB; larger
/// ones are refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn is_some(self) -> bool {
        self.end > 0
    }

    pub(super) fn range(self) -> Option<Range<usize>> {
        self.is_some().then_some(self.start as usize..self.end as usize)
    }
}

/// A member: where its key begins, and its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    pub(super) key: u32,
    pub(super) value: Span,
}

/// The known members of `_meta`.
pub(super) type Known = [Member; KNOWN.len()];

/// Where the members stand that a gateway needs; found in one pass, and moved along when the text is spliced.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::json) struct Places {
    pub(super) name: Member,
    pub(super) uri: Member,
    pub(super) meta: Member,
    /// `progressToken` itself, as in the note of a progress; that of a request is in its `_meta`.
    pub(super) told: Member,
    /// Whether answers or the state of an earlier call are brought along.
    pub(super) is_retry: bool,
    /// Whether there is a `cursor` other than `null`.
    pub(super) has_cursor: bool,
    pub(super) known: Known,
}

impl Places {
    /// Takes the object that comes next, and notes where its members stand. What is `amiss` is told apart from what is no
    /// JSON: the text behind it is read, and so is the id of its request.
    pub(in crate::json) fn scan<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        amiss: &mut Amiss,
    ) -> Result<&'a [u8], Malformed> {
        self.scan_behind(scanner, b"", amiss)
    }

    /// As [`scan`](Self::scan), of an object that begins with [`TELLS`], which is compared and not read.
    pub(in crate::json) fn scan_told<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        amiss: &mut Amiss,
    ) -> Result<&'a [u8], Malformed> {
        let (text, base) = (scanner.text(), scanner.at());
        let mut token = Scanner::within(text, base + TELLS.len(), scanner.around() + 1);
        self.told = Member { key: 1, value: span(&mut token, base)? };
        self.scan_behind(scanner, &text[base..token.at()], amiss)
    }

    fn scan_behind<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        opening: &[u8],
        amiss: &mut Amiss,
    ) -> Result<&'a [u8], Malformed> {
        let (mut seen, base) = (Seen::default(), scanner.at());
        if scanner.text().len() > u32::MAX as usize {
            return Err(Malformed::shape("parameters above 4 GiB"));
        }
        let mut met = if opening.is_empty() { 0 } else { TOLD };
        scanner.members_behind(opening, |scanner, key| {
            let bit = match &*key.name {
                b"name" => set(&mut self.name, scanner, base, key.at, NAME)?,
                b"uri" => set(&mut self.uri, scanner, base, key.at, URI)?,
                b"progressToken" => set(&mut self.told, scanner, base, key.at, TOLD)?,
                b"_meta" => {
                    let value = self.meta(scanner, base, amiss)?;
                    self.meta = Member { key: (key.at - base) as u32, value };
                    META
                }
                b"arguments" => scanner.value().map(|_| ARGUMENTS)?,
                b"progress" => scanner.value().map(|_| PROGRESS)?,
                b"total" => scanner.value().map(|_| TOTAL)?,
                b"message" => scanner.value().map(|_| MESSAGE)?,
                b"cursor" => {
                    self.has_cursor = scanner.value()? != b"null";
                    CURSOR
                }
                b"requestState" | b"inputResponses" => {
                    self.is_retry = true;
                    scanner.value()?;
                    if key.name[0] == b'r' { STATE } else { RESPONSES }
                }
                b"ref" => reference(scanner, amiss).map(|()| REF)?,
                other => {
                    scanner.value()?;
                    amiss.look(other, alike::MEMBERS);
                    note(&mut seen, key.name, amiss);
                    return Ok(());
                }
            };
            if met & bit != 0 {
                amiss.twice(&key.name);
            }
            met |= bit;
            Ok(())
        })?;
        Ok(&scanner.text()[base..scanner.at()])
    }

    fn meta(&mut self, scanner: &mut Scanner<'_>, base: usize, amiss: &mut Amiss) -> Result<Span, Malformed> {
        if scanner.peek() != Some(b'{') {
            return span(scanner, base);
        }
        let (start, mut seen) = (scanner.at(), Seen::default());
        scanner.members(|scanner, key| {
            let value = span(scanner, base)?;
            match index(&key.name) {
                Some(known) => {
                    if self.known[known].value.is_some() {
                        amiss.twice(&key.name);
                    }
                    self.known[known] = Member { key: (key.at - base) as u32, value };
                }
                None => {
                    amiss.look(&key.name, OF_META);
                    note(&mut seen, key.name, amiss);
                }
            }
            Ok(())
        })?;
        Ok(Span { start: (start - base) as u32, end: (scanner.at() - base) as u32 })
    }

    /// The known members of `_meta`, in the order of the text.
    pub(super) fn in_order(&self) -> [usize; KNOWN.len()] {
        let mut order = each(|at| at);
        order.sort_unstable_by_key(|&at| self.known[at].key);
        order
    }

    /// Moves what stands at `end` or behind it by so much, or back by what is missing to 2³².
    pub(super) fn shift(&mut self, end: u32, by: u32) {
        let move_on = |Member { key, value }: &mut Member| {
            for at in [key, &mut value.start, &mut value.end] {
                *at = at.wrapping_add(if *at >= end { by } else { 0 });
            }
        };
        for member in [&mut self.name, &mut self.uri, &mut self.meta, &mut self.told] {
            move_on(member);
        }
        if self.meta.value.is_some() {
            self.known.iter_mut().for_each(move_on);
        }
    }

    /// All places, to move them.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        // Where there is no `_meta`, nothing of it is anywhere.
        let known: &mut [Member] = if self.meta.value.is_some() { &mut self.known } else { &mut [] };
        [&mut self.name, &mut self.uri, &mut self.meta, &mut self.told].into_iter().chain(known)
    }
}

/// Which of the known members of `_meta` this is.
pub(super) fn index(key: &[u8]) -> Option<usize> {
    KNOWN.iter().position(|known| known.as_bytes() == key)
}

/// One for each known member of `_meta`.
pub(super) fn each<T>(make: impl FnMut(usize) -> T) -> [T; KNOWN.len()] {
    std::array::from_fn(make)
}

/// Takes note of a member that is not known.
fn note<'a>(seen: &mut Seen<'a>, key: Cow<'a, [u8]>, amiss: &mut Amiss) {
    if let Err(duplicate) = seen.note(key) {
        amiss.always.get_or_insert(duplicate);
    }
}

/// Takes the value that comes next for that of `member`, whose key stands at `at`; gives `bit` back.
fn set(member: &mut Member, scanner: &mut Scanner<'_>, base: usize, at: usize, bit: u16) -> Result<u16, Malformed> {
    *member = Member { key: (at - base) as u32, value: span(scanner, base)? };
    Ok(bit)
}

/// The `ref` of a completion, whose members say which server is asked. What stands in it twice, its reader finds.
#[inline(never)]
fn reference(scanner: &mut Scanner<'_>, amiss: &mut Amiss) -> Result<(), Malformed> {
    if scanner.peek() != Some(b'{') {
        return scanner.value().map(drop);
    }
    scanner.members(|scanner, key| {
        if !alike::OF_REF.has(&key.name) {
            amiss.look(&key.name, alike::OF_REF);
        }
        scanner.value().map(drop)
    })
}

/// Skips the value that comes next.
fn span(scanner: &mut Scanner<'_>, base: usize) -> Result<Span, Malformed> {
    let length = scanner.value()?.len();
    let end = scanner.at() - base;
    Ok(Span { start: (end - length) as u32, end: end as u32 })
}
