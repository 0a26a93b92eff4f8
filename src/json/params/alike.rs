//! Members that are not known by their spelling, and that some readers take for one that is.
//!
//! What a gateway decides by `name` is of no use where the server reads `Name` in its place: Go's `encoding/json` matches keys
//! without regard to case and takes the last one, .NET and Java can be told to, and some parsers of C stop at a NUL.

use crate::json::{Fault, Malformed, object};

/// The members of parameters by which a gateway decides, or that it binds to somebody.
pub(super) const MEMBERS: Names =
    Names::new(&["_meta", "name", "uri", "arguments", "ref", "requestState", "inputResponses"]);

/// What a `ref` is read by.
pub(super) const OF_REF: Names = Names::new(&["type", "name", "uri"]);

/// The names of known members, and the letters that keys begin with which may be taken for one of them.
#[derive(Clone, Copy)]
pub(super) struct Names {
    all: &'static [&'static str],
    /// A bit for each letter, by its last five, which case leaves alone. Another sign may have the same ones, and is looked at.
    first: u32,
}

impl Names {
    pub(super) const fn new(all: &'static [&'static str]) -> Self {
        let (mut first, mut at) = (0, 0);
        while at < all.len() {
            first |= Self::bit(all[at].as_bytes()[0]);
            at += 1;
        }
        Self { all, first }
    }

    const fn bit(letter: u8) -> u32 {
        1 << (letter & 0x1f)
    }

    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.all.iter().any(|known| known.as_bytes() == key)
    }

    /// Whether `key` begins as one of them does, or with what is not ASCII.
    fn may_have(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|first| !first.is_ascii() || self.first & Self::bit(*first) != 0)
    }
}

/// Letters beyond ASCII that one of ASCII is equal to where case does not count: by Unicode's simple folding, and for `i` by
/// the upper or lower case that Java compares.
const FOLDED: [(u8, &str); 4] = [(b's', "\u{17f}"), (b'k', "\u{212a}"), (b'i', "\u{130}"), (b'i', "\u{131}")];

/// What is wrong with parameters that are JSON; the first of each kind.
#[derive(Debug, Default)]
pub(in crate::json) struct Amiss {
    /// In any message: a member that stands twice, or parameters that are no object.
    pub(in crate::json) always: Option<Malformed>,
    /// In a request, by which something is decided: a member that may be taken for another.
    pub(in crate::json) asking: Option<Malformed>,
}

impl Amiss {
    /// Takes note of a member that is none of `known`. Nearly all differ from each in the first letter.
    #[inline]
    pub(super) fn look(&mut self, key: &[u8], known: Names) {
        if known.may_have(key) {
            self.compare(key, known.all);
        }
    }

    /// Takes note of a member that stands twice; of several the first is told.
    #[cold]
    pub(super) fn twice(&mut self, key: &[u8]) {
        self.always.get_or_insert_with(|| Malformed::new(Fault::Duplicate(object::text(key).into())));
    }

    #[inline(never)]
    fn compare(&mut self, key: &[u8], known: &[&'static str]) {
        if let Some(known) = known.iter().find(|known| is_taken_for(known, key)) {
            self.asking.get_or_insert_with(|| alike(object::text(key), known));
        }
    }
}

#[cold]
fn alike(key: &str, known: &'static str) -> Malformed {
    // One NUL tells as much as a million of them.
    let shown = key.len().min(key.trim_end_matches('\0').len() + 1);
    Malformed::new(Fault::Alike { member: key[..shown].into(), known })
}

/// Whether some readers take `key` for `known`; so they do where it is that.
pub(crate) fn is_taken_for(known: &str, key: &[u8]) -> bool {
    let behind = known.bytes().try_fold(key, behind);
    behind.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// What stands behind a letter, in whatever case it is.
#[inline]
fn behind(text: &[u8], letter: u8) -> Option<&[u8]> {
    let (first, rest) = text.split_first()?;
    if first.eq_ignore_ascii_case(&letter) {
        return Some(rest);
    }
    let folded = FOLDED.iter().filter(|(of, _)| !first.is_ascii() && of.eq_ignore_ascii_case(&letter));
    folded.into_iter().find_map(|(_, form)| text.strip_prefix(form.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_for_a_known_one_by_case_by_folding_and_with_nuls_behind_it() {
        for key in ["Name", "NAME", "naMe", "name\0", "nAme\0\0", "name"] {
            assert!(is_taken_for("name", key.as_bytes()), "{key:?}");
        }
        for key in ["nam", "names", "\0name", "na\0me", "name ", "", "\u{17f}ame", "nom"] {
            assert!(!is_taken_for("name", key.as_bytes()), "{key:?}");
        }
        assert!(is_taken_for("arguments", "argument\u{17f}".as_bytes()));
        assert!(is_taken_for("progressToken", "progre\u{17f}\u{17f}To\u{212a}en\0".as_bytes()));
        assert!(is_taken_for("uri", "ur\u{131}".as_bytes()) && is_taken_for("uri", "UR\u{130}".as_bytes()));
        assert!(!is_taken_for("uri", "ur\u{17f}".as_bytes()));
    }

    #[test]
    fn whatever_is_taken_for_a_known_member_is_compared_with_it() {
        for (known, name) in
            [MEMBERS, OF_REF].into_iter().flat_map(|known| known.all.iter().map(move |name| (known, name)))
        {
            for first in (0..=char::MAX as u32).filter_map(char::from_u32) {
                let key = format!("{first}{}", &name[1..]);
                assert!(known.may_have(key.as_bytes()) || !is_taken_for(name, key.as_bytes()), "{key}");
            }
        }
        assert!(!MEMBERS.may_have(b"progress") && !MEMBERS.may_have(b""));
    }

    #[test]
    fn what_is_told_of_a_key_does_not_grow_with_its_nuls() {
        let mut amiss = Amiss::default();
        amiss.look(format!("Name{}", "\0".repeat(1000)).as_bytes(), MEMBERS);
        assert_eq!(amiss.asking.unwrap().to_string(), r#"the member "Name\0" may be taken for "name""#);
    }
}
