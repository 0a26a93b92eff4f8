//! What stands between the quotes of a string, skipped as fast as memory gives it.

use wide::{CmpEq, CmpLt, i8x16, u8x16};

/// A part of a string: plain bytes and whole escapes.
pub(super) struct Run {
    /// Where what ends the run stands: a quote, a control character, what is no escape or not all of one, or the end of the
    /// text.
    pub(super) end: usize,
    /// There may be escapes in it; of those of line breaks and tabs in long strings none is counted.
    pub(super) may_hold_escapes: bool,
    /// What is not ASCII lies between these two, of which the second is 0 where everything is.
    foreign: (usize, usize),
}

/// The run that begins at `at`, behind a quote or a whole escape.
pub(super) fn run(text: &[u8], at: usize) -> Run {
    run_from(text, at, at)
}

/// The run that begins at `at`, of which so much is known to be plain as [`plain`] said.
pub(super) fn run_from(text: &[u8], at: usize, known: usize) -> Run {
    let mut run = Run { end: known, may_hold_escapes: false, foreign: (0, 0) };
    // Where what stands behind the latest escape becomes long.
    let mut long = at + SHORT;
    if run.end == long {
        run.blocks(text);
    }
    loop {
        let Marks { special, foreign } = marks(text, run.end);
        if special | foreign == BEHIND {
            run.end += LANES;
            if run.end == long {
                run.blocks(text);
            }
            continue;
        }
        let before = special.trailing_zeros() as usize;
        if foreign & !(u32::MAX << before) == 0 {
            run.end += before;
        } else {
            run.add_foreign(before);
        }
        if before == LANES {
            if run.end == long {
                run.blocks(text);
            }
        } else if text.get(run.end) == Some(&b'\\')
            && let Some(width) = escape(text, run.end)
        {
            run.end += width;
            run.may_hold_escapes = true;
            long = run.end + SHORT;
        } else {
            return run;
        }
    }
}

/// Where the quote stands that ends a string of plain bytes, as most are that are not long. Else the byte up to which it is
/// known to be plain.
///
/// Called for each name: what most need is a leaf of few instructions, and nobody has a copy of it.
#[inline(never)]
pub(super) fn plain(text: &[u8], at: usize) -> Result<usize, usize> {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        let stop = stop_in(block);
        if block.get(stop) == Some(&b'"') {
            return Ok(at + stop);
        }
    }
    plain_beyond(text, at)
}

/// As [`plain`], of what does not end in its first block.
#[inline(never)]
fn plain_beyond(text: &[u8], at: usize) -> Result<usize, usize> {
    let mut end = at;
    while let Some(block) = text.get(end..).and_then(|rest| rest.first_chunk()) {
        match stop_in(block) {
            LANES => end += LANES,
            stop if block[stop] == b'"' => return Ok(end + stop),
            _ => return Err(end),
        }
        if end == at + SHORT {
            return Err(end);
        }
    }
    let left = text.get(end..).unwrap_or_default();
    let plain = |byte: &u8| matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\');
    match left.iter().position(|byte| !plain(byte)) {
        Some(stop) if left[stop] == b'"' => Ok(end + stop),
        _ => Err(end),
    }
}

/// Where the first byte stands that is not plain; behind the block if there is none.
#[inline]
fn stop_in(block: &[u8; LANES]) -> usize {
    let bytes = i8x16::from(block.map(|byte| byte as i8));
    // What is not ASCII is negative.
    let low = bytes.cmp_lt(i8x16::splat(0x20));
    let special = low | bytes.cmp_eq(i8x16::splat(b'"' as i8)) | bytes.cmp_eq(i8x16::splat(b'\\' as i8));
    (special.move_mask() as u32 | BEHIND).trailing_zeros() as usize
}

impl Run {
    /// Takes whole blocks off a text of which some plain bytes were taken: the byte before a block must be none of an escape.
    fn blocks(&mut self, text: &[u8]) {
        let (skipped, seen) = blocks(&text[self.end - 1..]);
        if skipped == 0 {
            return;
        }
        match seen.is_ascii() {
            true => self.end += skipped,
            false => self.add_foreign(skipped),
        }
        self.may_hold_escapes = true;
        // The second byte of the escape has not been looked at.
        self.end -= usize::from(text[self.end - 1] == b'\\');
    }

    #[cold]
    fn add_foreign(&mut self, length: usize) {
        let start = if self.foreign.1 == 0 { self.end } else { self.foreign.0 };
        self.end += length;
        self.foreign = (start, self.end);
    }

    /// Checks that it is UTF-8.
    pub(super) fn check(&self, text: &[u8]) -> Result<(), NotUtf8> {
        let (start, end) = self.foreign;
        if end == 0 {
            return Ok(());
        }
        std::str::from_utf8(&text[start..end]).map(drop).map_err(|error| NotUtf8 {
            offset: start + error.valid_up_to(),
            is_cut: error.error_len().is_none() && end == self.end,
        })
    }
}

/// What is no text.
pub(super) struct NotUtf8 {
    /// Where it begins.
    pub(super) offset: usize,
    /// Whether it is the beginning of a character that the run holds no more of.
    pub(super) is_cut: bool,
}

/// How many bytes the escape at `at` has, if it is one and all of it is there.
fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// How many bytes the escape at `at` has: what it should have, if it is none.
pub(super) fn escape_width(text: &[u8], at: usize) -> usize {
    if text.get(at + 1) == Some(&b'u') { 6 } else { 2 }
}

/// Where the quote stands that ends a string, or what cannot stand in one; `None` if the text ends before.
pub(super) fn close(text: &[u8], at: usize) -> Option<usize> {
    let end = run(text, at).end;
    let cut = text.get(end)? == &b'\\' && text.len() - end < escape_width(text, end);
    (!cut).then_some(end)
}

/// Bytes looked at together.
const LANES: usize = 16;
/// Bytes looked at together in long strings, in which line breaks are no reason to stop.
const BLOCK: usize = 64;
/// Where a string begins to be long.
const SHORT: usize = 4 * LANES;

/// The bit behind those of a block.
const BEHIND: u32 = 1 << LANES;

/// A bit for each byte of a block, the lowest for the first.
#[derive(Clone, Copy)]
struct Marks {
    /// What ends a run of plain bytes, as the end of the block does.
    special: u32,
    /// What is not ASCII.
    foreign: u32,
}

#[inline]
fn of_block(block: &[u8; LANES]) -> Marks {
    let bytes = u8x16::from(*block);
    let control = bytes.min(u8x16::splat(0x1f)).cmp_eq(bytes);
    let special = control | bytes.cmp_eq(u8x16::splat(b'"')) | bytes.cmp_eq(u8x16::splat(b'\\'));
    Marks { special: special.move_mask() as u32 | BEHIND, foreign: bytes.move_mask() as u32 }
}

/// The marks from `at` on. The end of the text is special.
#[inline]
fn marks(text: &[u8], at: usize) -> Marks {
    match text.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(block) => of_block(block),
        None => of_end(text, text.len().saturating_sub(at)),
    }
}

/// The marks of the last bytes of a text, which are no whole block.
#[inline(never)]
fn of_end(text: &[u8], bytes: usize) -> Marks {
    let skipped = LANES - bytes;
    let Marks { special, foreign } = match text.last_chunk() {
        Some(block) => of_block(block),
        None => {
            let mut block = [0; LANES];
            block[LANES - text.len()..].copy_from_slice(text);
            of_block(&block)
        }
    };
    Marks { special: special >> skipped, foreign: foreign >> skipped }
}

/// How many bytes, in whole blocks from the second byte on, hold nothing but plain bytes and the escapes of line breaks and
/// tabs, and all their bits. The first byte is one that is known, and begins no escape.
///
/// Text has a line break in almost every block: a branch at each would cost more than to ask every byte what stands before
/// it. Flags as wide as bytes are three times as fast as `bool`s, and the wider vectors of newer processors, where there
/// are any, twice as fast again.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn blocks(text: &[u8]) -> (usize, u8) {
    let (mut skipped, mut seen) = (0, 0);
    let (before, _) = text.as_chunks::<BLOCK>();
    let (bytes, _) = text[1..].as_chunks::<BLOCK>();
    for (bytes, before) in bytes.iter().zip(before) {
        let (mut special, mut bits) = (0u8, 0u8);
        for (&byte, &before) in bytes.iter().zip(before) {
            let breaks = u8::from(byte == b'n') | u8::from(byte == b'r') | u8::from(byte == b't');
            let escaped = u8::from(before == b'\\');
            special |= u8::from(byte < 0x20) | u8::from(byte == b'"') | (escaped & (1 ^ breaks));
            bits |= byte;
        }
        if special != 0 {
            break;
        }
        seen |= bits;
        skipped += BLOCK;
    }
    (skipped, seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where a run ends, byte by byte.
    fn end(text: &[u8], mut at: usize) -> usize {
        loop {
            at += match &text[at..] {
                [b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'/' | b'"' | b'\\', ..] => 2,
                [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 6,
                [b'\\' | b'"' | 0..0x20, ..] | [] => return at,
                _ => 1,
            };
        }
    }

    proptest! {
        #[test]
        fn a_run_ends_before_what_cannot_be_skipped_and_knows_whether_it_is_text(
            parts in prop::collection::vec(
                prop_oneof![
                    8 => "[a-z]{20,90}".prop_map(String::into_bytes),
                    4 => prop::sample::select(vec!["\\n", "\\t", "\\r"]).prop_map(|part| part.as_bytes().to_vec()),
                    4 => "[é\u{10348}]{1,3}".prop_map(String::into_bytes),
                    3 => prop::sample::select(vec!["\\\\", "\\\"", "\\u0041"]).prop_map(|part| part.as_bytes().to_vec()),
                    1 => prop::sample::select(vec!["\"", "\\", "\n", "\\x", "\\u00g0"]).prop_map(|part| part.as_bytes().to_vec()),
                    1 => prop::collection::vec(0x80u8.., 1..3),
                ],
                0..12,
            ),
        ) {
            let text = [b"\"", &parts.concat()[..]].concat();
            let run = run(&text, 1);
            let skipped = &text[1..run.end];
            prop_assert_eq!(run.end, end(&text, 1));
            prop_assert!(run.may_hold_escapes || !skipped.contains(&b'\\'));
            let known = run.check(&text).map_err(|error| error.offset - 1);
            prop_assert_eq!(known, std::str::from_utf8(skipped).map(drop).map_err(|error| error.valid_up_to()));
        }
    }

    #[test]
    fn a_string_of_plain_text_ends_at_its_quote_and_is_long_beyond_a_few_blocks() {
        for length in 0..2 * SHORT {
            let text = format!("{}\", \"another\"", "a".repeat(length));
            let end = if length < SHORT { Ok(length) } else { Err(SHORT) };
            assert_eq!(plain(text.as_bytes(), 0), end);
            assert_eq!(plain(&text.as_bytes()[..=length], 0), end, "at the end of the text");
            for special in ["é", "\\n", "\u{1}"] {
                for at in 0..=length.min(SHORT - 1) {
                    let mut text = text.clone();
                    text.insert_str(at, special);
                    let known = plain(text.as_bytes(), 0).unwrap_err();
                    assert!(known <= at && at - known < LANES, "{text}");
                    assert_eq!(run_from(text.as_bytes(), 0, known).end, run(text.as_bytes(), 0).end);
                }
            }
        }
        assert_eq!(plain(b"no end", 0), Err(0));
        assert_eq!(plain(b"", 0), Err(0));
    }

    #[test]
    fn long_text_is_skipped_with_its_line_breaks_wherever_they_stand() {
        for lead in 33..200 {
            let text = format!("\"{}\\n{}\\tend\"", "a".repeat(lead), "b".repeat(300 - lead));
            assert_eq!(run(text.as_bytes(), 1).end, text.len() - 1, "{lead}");
        }
    }
}
