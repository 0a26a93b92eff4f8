//! What stands between the quotes of a string, skipped as fast as memory gives it.

/// A run of bytes of a string that need no look of their own.
pub(super) struct Run {
    /// Where what ends the run stands: a quote, a control character, an escape, or the end of the text.
    pub(super) end: usize,
    pub(super) is_ascii: bool,
    /// Escapes of two bytes may have been skipped; a long run does not say whether there were any.
    pub(super) may_hold_escapes: bool,
}

/// The run that begins at `at`, behind a quote or a whole escape.
pub(super) fn run(text: &[u8], at: usize) -> Run {
    let mut run = Run { end: at, is_ascii: true, may_hold_escapes: false };
    // Most strings end within the first words; of those that do not, many are long.
    let short = &text[at..text.len().min(at + SHORT)];
    if run.words(short) || short.len() < SHORT {
        return run;
    }
    run.blocks(text);
    run.words(&text[run.end..]);
    run
}

/// Where the quote stands that ends a short string, nothing in which needs a look of its own: that is most of them.
#[inline]
pub(super) fn short(text: &[u8], mut at: usize) -> Option<usize> {
    let (words, _) = text.get(at..)?.as_chunks::<WORD>();
    for word in words.iter().take(SHORT / WORD) {
        let word = u64::from_le_bytes(*word);
        let special = specials(word);
        if special != 0 {
            let before = special.trailing_zeros() as usize / WORD;
            let plain = word & !(u64::MAX << (before * WORD)) & HIGHS == 0;
            return (plain && text[at + before] == b'"').then_some(at + before);
        }
        if word & HIGHS != 0 {
            return None;
        }
        at += WORD;
    }
    None
}

impl Run {
    /// Takes plain bytes off `text`, which begins at the run's end, a word at a time; whether something ends the run.
    fn words(&mut self, text: &[u8]) -> bool {
        let (mut at, mut seen) = (0, 0);
        while let Some(word) = text[at..].first_chunk::<WORD>() {
            let word = u64::from_le_bytes(*word);
            let special = specials(word);
            if special != 0 {
                let before = special.trailing_zeros() as usize / WORD;
                self.add(at + before, seen | (word & !(u64::MAX << (before * WORD))));
                return true;
            }
            seen |= word;
            at += WORD;
        }
        let rest = text[at..].iter().take_while(|&&byte| (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
        for &byte in rest {
            seen |= u64::from(byte);
            at += 1;
        }
        self.add(at, seen);
        at < text.len()
    }

    /// Takes whole blocks. The byte before the run's end must be plain: that of an escape would be taken for its first.
    fn blocks(&mut self, text: &[u8]) {
        let (skipped, seen) = blocks(&text[self.end - 1..]);
        if skipped == 0 {
            return;
        }
        self.add(skipped, u64::from(seen));
        self.may_hold_escapes = true;
        // The second byte of the escape has not been looked at.
        self.end -= usize::from(text[self.end - 1] == b'\\');
    }

    fn add(&mut self, length: usize, seen: u64) {
        self.end += length;
        self.is_ascii &= seen & HIGHS == 0;
    }
}

/// How many bytes the escape at `at` has: what it should have, if it is none.
pub(super) fn escape_width(text: &[u8], at: usize) -> usize {
    if text.get(at + 1) == Some(&b'u') { 6 } else { 2 }
}

/// Where the quote stands that ends a string, or what cannot stand in one; `None` if the text ends before.
pub(super) fn close(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = run(text, at).end;
        match text.get(at)? {
            b'\\' if text.len() > at + 1 => at += 2,
            b'\\' => return None,
            _ => return Some(at),
        }
    }
}

/// Bytes looked at as one number.
const WORD: usize = 8;
/// Bytes looked at together in long strings, which become vector instructions.
const BLOCK: usize = 64;
/// Where a string begins to be long.
const SHORT: usize = 32;

const ONES: u64 = u64::from_ne_bytes([1; WORD]);
const HIGHS: u64 = ONES << 7;

/// The highest bits of bytes that end a run of plain ones. The lowest of them is exact; those above it may not be,
/// because a borrow reaches only upwards.
const fn specials(word: u64) -> u64 {
    // A quote (0x22) with its second bit turned is 0x20: below 0x21, as control characters are, which stay below 0x20. A
    // space becomes 0x22.
    let control_or_quote = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control_or_quote | backslash) & !word & HIGHS
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

    /// What a run may skip, byte by byte, until it must stop.
    fn skippable(text: &[u8]) -> Vec<usize> {
        let (mut ends, mut at) = (vec![0], 0);
        while at < text.len() {
            at += match &text[at..] {
                [b'\\', b'n' | b'r' | b't', ..] => 2,
                [b'\\' | b'"' | 0..0x20, ..] => break,
                _ => 1,
            };
            ends.push(at);
        }
        ends
    }

    proptest! {
        #[test]
        fn a_run_ends_between_characters_and_before_what_is_special(
            parts in prop::collection::vec(
                prop_oneof![
                    8 => "[a-z]{20,90}".prop_map(String::from),
                    4 => prop::sample::select(vec!["\\n", "\\t", "\\r"]).prop_map(String::from),
                    2 => "[é\u{10348}]{1,3}".prop_map(String::from),
                    1 => prop::sample::select(vec!["\"", "\\\\", "\\\"", "\\u0041", "\\", "\n", "\\x"]).prop_map(String::from),
                ],
                0..12,
            ),
        ) {
            let text = format!("\"{}", parts.concat());
            let run = run(text.as_bytes(), 1);
            let skipped = &text.as_bytes()[1..run.end];
            let ends = skippable(&text.as_bytes()[1..]);
            prop_assert!(ends.contains(&skipped.len()), "{text:?} to {}", run.end);
            prop_assert_eq!(run.is_ascii, skipped.is_ascii());
            prop_assert!(run.may_hold_escapes || !skipped.contains(&b'\\'));
            match text.as_bytes().get(run.end) {
                None | Some(b'\\' | b'"' | 0..0x20) => {}
                other => prop_assert!(false, "{text:?} stops at {other:?}"),
            }
        }
    }

    #[test]
    fn a_short_string_of_plain_text_ends_at_its_quote() {
        for length in 0..40 {
            let text = format!("{}\", \"another\"", "a".repeat(length));
            assert_eq!(short(text.as_bytes(), 0), (length < SHORT).then_some(length));
            for special in ["é", "\\n", "\u{1}"] {
                for at in 0..=length {
                    let mut text = text.clone();
                    text.insert_str(at, special);
                    assert_eq!(short(text.as_bytes(), 0), None, "{text}");
                }
            }
        }
        assert_eq!(short(b"at the end\"", 0), None, "where too little is left, somebody else looks");
    }

    #[test]
    fn long_text_is_skipped_with_its_line_breaks_wherever_they_stand() {
        for lead in 33..200 {
            let text = format!("\"{}\\n{}\\tend\"", "a".repeat(lead), "b".repeat(300 - lead));
            let mut at = 1;
            let mut stops = 0;
            loop {
                at = run(text.as_bytes(), at).end;
                match text.as_bytes()[at] {
                    b'"' => break,
                    _ => at += 2,
                }
                stops += 1;
            }
            assert_eq!(at, text.len() - 1, "{lead}");
            assert!(stops <= 2, "{lead}");
        }
    }
}
