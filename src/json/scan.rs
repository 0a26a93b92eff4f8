use super::{Fault, MAX_DEPTH, Malformed, string};
use std::borrow::Cow;

/// Reads JSON text (RFC 8259) in one pass, checks it, and gives out slices of it; nothing is allocated.
///
/// Values are skipped, not read: that a number fits no machine type, or an escape is half a surrogate pair, is for
/// whoever reads the value. Keys are read, because two spellings of one key are one member.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// Brackets that were entered, around the values to come.
    around: usize,
}

/// A key of an object.
pub(super) struct Key<'a> {
    /// Where its quote stands.
    pub(super) at: usize,
    /// Decoded, and known to be UTF-8.
    pub(super) name: Cow<'a, [u8]>,
}

/// The kinds of the open brackets, innermost lowest: 1 for an object. As deep as a message may be, and no deeper.
pub(super) type Nesting = u128;
const _: () = assert!(MAX_DEPTH == Nesting::BITS as usize);

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, around: 0 }
    }

    /// Goes on at a byte of a text that was read up to there.
    pub(super) fn at_byte(text: &'a [u8], at: usize) -> Self {
        Self::within(text, at, 0)
    }

    /// As [`at_byte`](Self::at_byte), within so many brackets.
    pub(super) fn within(text: &'a [u8], at: usize, around: usize) -> Self {
        Self { text, at, around }
    }

    /// All of the text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// How many bytes were taken.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many brackets are open.
    pub(super) fn around(&self) -> usize {
        self.around
    }

    /// The next byte that is no white space, which is not taken.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.peek_beyond_space(),
        }
    }

    /// Apart from [`peek`](Self::peek), because most messages have no white space between their tokens.
    #[cold]
    fn peek_beyond_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Whether `byte` comes next, as it most likely does.
    #[inline]
    fn is_next(&mut self, byte: u8) -> bool {
        self.text.get(self.at) == Some(&byte) || self.peek_beyond_space() == Some(byte)
    }

    /// Takes `byte` if it comes next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`, or fails for want of what was expected.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if !self.is_next(byte) {
            return Err(self.fault(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the bracket that opens what holds the values to come, if it comes next.
    pub(super) fn enter(&mut self, bracket: u8) -> bool {
        let entered = self.take(bracket);
        self.around += usize::from(entered);
        entered
    }

    /// Fails if anything but white space is left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(self.fault("the end")) }
    }

    /// The members of the object that comes next; `visit` takes each value.
    pub(super) fn members(
        &mut self,
        visit: impl FnMut(&mut Self, Key<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.members_behind(b"", visit)
    }

    /// As [`members`](Self::members), without those in `opening`: an object's bracket and members, with the comma behind them or
    /// without, which is known to come next.
    #[inline]
    pub(super) fn members_behind(
        &mut self,
        opening: &[u8],
        mut visit: impl FnMut(&mut Self, Key<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        match opening.len() {
            0 => self.expect(b'{', "an object")?,
            length => self.at += length,
        }
        self.around += 1;
        let mut is_behind = opening.last().is_some_and(|last| *last != b',');
        if !opening.is_empty() || !self.take(b'}') {
            loop {
                if !is_behind {
                    let key = self.key()?;
                    visit(self, key)?;
                }
                is_behind = false;
                let next = self.peek();
                match next {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break self.at += 1,
                    _ => return Err(self.fault("a comma or a closing bracket")),
                }
            }
        }
        self.around -= 1;
        Ok(())
    }

    /// A key and its colon.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<Key<'a>, Malformed> {
        let at = self.quote()?;
        match string::plain(self.text, at + 1) {
            Ok(end) => {
                self.at = end + 1;
                self.colon()?;
                Ok(Key { at, name: Cow::Borrowed(&self.text[at + 1..end]) })
            }
            Err(known) => self.long_key(known),
        }
    }

    #[cold]
    fn long_key(&mut self, known: usize) -> Result<Key<'a>, Malformed> {
        let start = self.at;
        let escaped = self.long_string(known)?;
        let quoted = &self.text[start..self.at];
        let name = if escaped {
            let decoded = serde_json::from_slice::<String>(quoted);
            Cow::Owned(decoded.map_err(|_| Self::fault_at(start, "a key of whole characters"))?.into_bytes())
        } else {
            Cow::Borrowed(&quoted[1..quoted.len() - 1])
        };
        self.colon()?;
        Ok(Key { at: start, name })
    }

    /// Where the quote stands with which the key that comes next begins.
    #[inline]
    fn quote(&mut self) -> Result<usize, Malformed> {
        if self.is_next(b'"') { Ok(self.at) } else { Err(self.fault("a key")) }
    }

    #[inline]
    fn colon(&mut self) -> Result<(), Malformed> {
        self.expect(b':', "a colon")
    }

    /// The text of one value of any kind, everything in it checked.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => self.string()?,
            Some(b'{' | b'[') => self.nested()?,
            _ => self.scalar()?,
        }
        Ok(&self.text[start..self.at])
    }

    /// An object or an array, without recursion: the depth of a message is its sender's choice.
    fn nested(&mut self) -> Result<(), Malformed> {
        let (mut nesting, mut depth): (Nesting, usize) = (0, 0);
        loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(bracket @ (b'{' | b'[')) => {
                    if self.around + depth == MAX_DEPTH {
                        return Err(Malformed::new(Fault::TooDeep { offset: self.at }));
                    }
                    self.at += 1;
                    depth += 1;
                    let object = bracket == b'{';
                    nesting = (nesting << 1) | Nesting::from(object);
                    if self.peek() != Some(closing(object)) {
                        if object {
                            self.member_name()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            if !self.behind(&mut nesting, &mut depth)? {
                return Ok(());
            }
        }
    }

    /// Takes what lies between one value and the next, brackets that end among it; `false` if the outermost value is
    /// complete.
    #[inline]
    fn behind(&mut self, nesting: &mut Nesting, depth: &mut usize) -> Result<bool, Malformed> {
        while *depth > 0 {
            let object = *nesting & 1 == 1;
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    if object {
                        self.member_name()?;
                    }
                    return Ok(true);
                }
                Some(bracket) if bracket == closing(object) => {
                    self.at += 1;
                    (*nesting, *depth) = (*nesting >> 1, *depth - 1);
                }
                _ => return Err(self.fault("a comma or a closing bracket")),
            }
        }
        Ok(false)
    }

    /// A key that nobody reads, and its colon.
    #[inline(always)]
    fn member_name(&mut self) -> Result<(), Malformed> {
        self.quote()?;
        self.string()?;
        self.colon()
    }

    pub(super) fn scalar(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at) {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.fault("a value")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault(word));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.at += usize::from(self.text[self.at] == b'-');
        // A zero is alone: what follows it is no part of the number.
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        // As many numbers are: how far a call is, and of how much.
        if let Some([b'0'..=b'9', next, ..]) = self.text.get(start..)
            && !next.is_ascii_digit()
        {
            self.at += 1;
            return Ok(());
        }
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let (digits, looked) = match rest.first_chunk() {
                Some(bytes) => (leading_digits(*bytes), bytes.len()),
                None => (rest.iter().take_while(|byte| byte.is_ascii_digit()).count(), usize::MAX),
            };
            self.at += digits;
            if digits < looked {
                break;
            }
        }
        if self.at == start { Err(self.fault("a digit")) } else { Ok(()) }
    }

    /// A string from its quote to its quote.
    #[inline(always)]
    fn string(&mut self) -> Result<(), Malformed> {
        match string::plain(self.text, self.at + 1) {
            Ok(end) => self.at = end + 1,
            Err(known) => drop(self.long_string(known)?),
        }
        Ok(())
    }

    /// A string of any kind, up to a byte `known` to be plain; says whether it may hold escapes.
    fn long_string(&mut self, known: usize) -> Result<bool, Malformed> {
        let run = string::run_from(self.text, self.at + 1, known);
        self.at = run.end;
        match self.text.get(self.at) {
            Some(b'"') => self.at += 1,
            Some(b'\\') => return Err(self.fault("an escape of JSON")),
            Some(_) => return Err(self.fault("no control character in a string")),
            None => return Err(self.fault("the end of a string")),
        }
        run.check(self.text).map_err(|error| Malformed::new(Fault::Utf8 { offset: error.offset }))?;
        Ok(run.may_hold_escapes)
    }

    pub(super) fn fault(&self, expected: &'static str) -> Malformed {
        Self::fault_at(self.at, expected)
    }

    #[cold]
    fn fault_at(offset: usize, expected: &'static str) -> Malformed {
        Malformed::new(Fault::Text { offset, expected })
    }
}

/// How many digits come first.
#[inline]
fn leading_digits(bytes: [u8; 8]) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    // Digits become what is below ten; of what is not, the highest bit is set, or is after the addition.
    let values = u64::from_le_bytes(bytes) ^ (EACH * 0x30);
    let others = (values.wrapping_add(EACH * (0x80 - 10)) | values) & (EACH * 0x80);
    (others.trailing_zeros() / 8) as usize
}

/// The bracket that ends an object, or an array.
#[inline]
const fn closing(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

#[cfg(test)]
mod tests;
