/// The members of a result that a gateway asks for: whether it is complete, and how long it holds (2026-07-28), and what
/// that revision allows to be of another kind than before.
const ASKED_FOR: [&str; 4] = ["resultType", "ttlMs", "cacheScope", "structuredContent"];

/// Which members that a gateway asks for a result has, noted by the pass that scanned it, so that nobody searches a large
/// result again. The default is that nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Members(u8);

/// The bit that says that the others mean something.
const NOTED: u8 = 1 << 7;
/// The bit of a member of any name.
const ANY: u8 = 1 << 6;
/// The bit of a result that is not complete before the client has answered what it asks.
const ASKS: u8 = 1 << 5;

/// How such a result says so, in its `resultType` (2026-07-28, "basic/patterns/mrtr").
pub(super) const INPUT_REQUIRED: &str = "\"input_required\"";

impl Members {
    /// Of an object that is being scanned.
    pub(super) const fn none() -> Self {
        Self(NOTED)
    }

    /// Takes note of a member with its value, for what the value of one says.
    pub(super) fn note_value(&mut self, key: &[u8], value: &[u8]) {
        if value == INPUT_REQUIRED.as_bytes() && key == b"resultType" {
            self.0 |= ASKS;
        }
        self.note(key);
    }

    /// Takes note of a member.
    pub(super) fn note(&mut self, key: &[u8]) {
        self.0 |= ANY | bit(key).unwrap_or(0);
    }

    /// Whether there is no member at all, as far as anything was noted.
    pub(crate) fn is_empty(self) -> bool {
        self.0 & ANY == 0
    }

    /// Whether the result asks for more; `None` if that is not known. Asked of what was noted with its values.
    #[cfg(feature = "legacy")]
    pub(super) fn asks(self) -> Option<bool> {
        (self.0 & NOTED != 0).then_some(self.0 & ASKS != 0)
    }

    /// Whether there is such a member; `None` if that is not known.
    pub(crate) fn has(self, key: &str) -> Option<bool> {
        let bit = bit(key.as_bytes())?;
        (self.0 & NOTED != 0).then_some(self.0 & bit != 0)
    }
}

fn bit(key: &[u8]) -> Option<u8> {
    ASKED_FOR.iter().position(|known| known.as_bytes() == key).map(|at| 1 << at)
}
