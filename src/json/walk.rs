use super::{
    Fault, MAX_DEPTH, Malformed,
    members::Members,
    scan::{Nesting, Scanner},
    string::{self, NotUtf8},
};

/// Follows an object that arrives in pieces, and checks it as [`Json::parse`](super::Json::parse) checks a text that is there
/// as a whole: for what is too large to be held, such as a result that comes in [parts](crate::reply::Event::Part).
///
/// Strings pass as they come, whole characters and whole escapes; any other token is taken when all of it is there. So the
/// bytes that wait are few, unless somebody sends a number or a key of megabytes, which is for the caller to bound.
///
/// ```
/// use tower_mcp_gateway::json::Walk;
///
/// let mut walk = Walk::object(0);
/// let text = br#"{"text":"a long \n"#;
/// let taken = walk.take(text)?;
/// assert_eq!(&text[taken..], b"", "all of it can be passed on");
/// assert_eq!(walk.take(br#"one","n":1"#)?, 9, "a number may go on: it waits");
/// assert_eq!(walk.take(br#"12}, and more"#)?, 3);
/// assert!(walk.is_over());
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Walk {
    /// The kinds of the open brackets, innermost lowest: 1 for an object.
    nesting: Nesting,
    depth: usize,
    /// Brackets around the object, which count as its own.
    around: usize,
    at: Place,
    members: Members,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Value,
    /// Behind a bracket that opened: the first of what it holds, or its end.
    Opened,
    /// Behind a value: a comma, or the end of what it stands in.
    Behind,
    Key,
    String,
    Over,
}

/// Where the walk stops for now.
enum Step {
    On(usize),
    /// The text ends within what stands here.
    Wait(usize),
}

impl Walk {
    /// Before an object that stands in so many brackets, which count towards [`MAX_DEPTH`](super::MAX_DEPTH).
    pub fn object(around: usize) -> Self {
        Self { nesting: 0, depth: 0, around, at: Place::Value, members: Members::none() }
    }

    /// Whether the object is complete.
    pub fn is_over(&self) -> bool {
        self.at == Place::Over
    }

    /// Which members the object has, of those met so far.
    pub fn members(&self) -> Members {
        self.members
    }

    /// Takes what can be taken of `text`: up to the end of the object, or to what the text does not hold all of, with which
    /// the next text must begin.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where it is no JSON, with the byte of `text`.
    pub fn take(&mut self, text: &[u8]) -> Result<usize, Malformed> {
        let mut at = 0;
        while !self.is_over() {
            match self.step(text, at)? {
                Step::On(next) => at = next,
                Step::Wait(taken) => return Ok(taken),
            }
        }
        Ok(at)
    }

    fn step(&mut self, text: &[u8], at: usize) -> Result<Step, Malformed> {
        if self.at == Place::String {
            return self.string(text, at);
        }
        let mut scanner = Scanner::at_byte(text, at);
        let Some(next) = scanner.peek() else { return Ok(Step::Wait(at)) };
        let at = scanner.at();
        let in_object = self.nesting & 1 == 1;
        match (self.at, next) {
            (Place::Opened | Place::Behind, b'}') if in_object => self.close(),
            (Place::Opened | Place::Behind, b']') if !in_object => self.close(),
            (Place::Behind, b',') => self.at = if in_object { Place::Key } else { Place::Value },
            (Place::Behind, _) => return Err(scanner.fault("a comma or a closing bracket")),
            (Place::Opened | Place::Key, _) if in_object => return self.key(text, at),
            _ => return self.value(text, at, next),
        }
        Ok(Step::On(at + 1))
    }

    fn close(&mut self) {
        self.nesting >>= 1;
        self.depth -= 1;
        self.at = if self.depth == 0 { Place::Over } else { Place::Behind };
    }

    fn value(&mut self, text: &[u8], at: usize, next: u8) -> Result<Step, Malformed> {
        match next {
            _ if self.depth == 0 && next != b'{' => Err(Malformed::shape("not an object")),
            b'{' | b'[' => {
                if self.around + self.depth == MAX_DEPTH {
                    return Err(Malformed::new(Fault::TooDeep { offset: at }));
                }
                self.depth += 1;
                self.nesting = (self.nesting << 1) | Nesting::from(next == b'{');
                self.at = Place::Opened;
                Ok(Step::On(at + 1))
            }
            b'"' => {
                self.at = Place::String;
                Ok(Step::On(at + 1))
            }
            // A number shows where it ends by what follows it.
            _ if text[at..].iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) => {
                Ok(Step::Wait(at))
            }
            _ => {
                let mut scanner = Scanner::at_byte(text, at);
                scanner.scalar()?;
                self.at = Place::Behind;
                Ok(Step::On(scanner.at()))
            }
        }
    }

    /// A key with its colon, once both are there.
    fn key(&mut self, text: &[u8], at: usize) -> Result<Step, Malformed> {
        let closed =
            text[at] != b'"' || string::close(text, at + 1).is_some_and(|end| !text[end + 1..].trim_ascii().is_empty());
        if !closed {
            return Ok(Step::Wait(at));
        }
        let mut scanner = Scanner::at_byte(text, at);
        let key = scanner.key()?;
        if self.depth == 1 {
            self.members.note(&key.name);
        }
        self.at = Place::Value;
        Ok(Step::On(scanner.at()))
    }

    /// As much of a string as there is, whole characters and whole escapes.
    fn string(&mut self, text: &[u8], start: usize) -> Result<Step, Malformed> {
        let run = string::run(text, start);
        let mut at = run.end;
        let ends = match text.get(at) {
            Some(b'"') => true,
            Some(b'\\') if text.len() - at < string::escape_width(text, at) => false,
            Some(b'\\') => return Err(Scanner::at_byte(text, at).fault("an escape of JSON")),
            Some(_) => return Err(Scanner::at_byte(text, at).fault("no control character in a string")),
            None => false,
        };
        if let Err(NotUtf8 { offset, is_cut }) = run.check(text) {
            // A character may go on where the text ends.
            if !is_cut || at < text.len() {
                return Err(Malformed::new(Fault::Utf8 { offset }));
            }
            at = offset;
        }
        if !ends {
            return Ok(Step::Wait(at));
        }
        self.at = Place::Behind;
        Ok(Step::On(at + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Walks through `text` in pieces of these sizes; how much of it is the object, or `None` if it is none or not all.
    fn walked(text: &[u8], sizes: &[usize]) -> Option<usize> {
        let (mut walk, mut waiting, mut taken, mut at) = (Walk::object(0), Vec::new(), 0, 0);
        for size in sizes.iter().cycle() {
            let piece = &text[at..text.len().min(at + size)];
            at += piece.len();
            waiting.extend_from_slice(piece);
            let done = walk.take(&waiting).ok()?;
            waiting.drain(..done);
            taken += done;
            if walk.is_over() || at == text.len() {
                break;
            }
        }
        walk.is_over().then_some(taken)
    }

    fn scanned(text: &[u8]) -> Option<usize> {
        let mut scanner = Scanner::new(text);
        (scanner.peek() == Some(b'{')).then_some(())?;
        scanner.value().ok()?;
        Some(scanner.at())
    }

    fn token() -> impl Strategy<Value = String> {
        let tokens = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "{\"a\":",
            "\"b\":",
            "\"\\u0061\":",
            "\"x\"",
            "\"\\n\\\\\\\"\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"é\u{10348}\"",
            "1",
            "-0.5e+3",
            "01",
            "-",
            "true",
            "false",
            "null",
            "nul",
            " ",
            "\n",
            "\"",
            "\u{1}",
        ];
        prop_oneof![
            9 => prop::sample::select(tokens.to_vec()).prop_map(String::from),
            1 => "[a-z\u{e9}]{40,160}".prop_map(|text| format!("\"{text}\\n{text}\"")),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_agrees_with_the_scanner_wherever_the_text_is_cut(
            tokens in prop::collection::vec(token(), 0..10),
            sizes in prop::collection::vec(1usize..40, 1..4),
            broken in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut text = format!("{{\"k\":[{}]}}", tokens.concat()).into_bytes();
            if let Some((at, byte)) = broken {
                let at = at.index(text.len());
                text[at] = byte;
            }
            prop_assert_eq!(walked(&text, &sizes), scanned(&text), "{:?}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn its_own_members_are_noted_and_depth_is_bounded() {
        let mut walk = Walk::object(1);
        let text = br#"{"a":{"ttlMs":1},"\u0072esultType":"complete"} ,"#;
        assert_eq!(walk.take(text).unwrap(), text.len() - 2);
        assert_eq!((walk.members().has("resultType"), walk.members().has("ttlMs")), (Some(true), Some(false)));
        let deep = |n: usize| Walk::object(1).take(format!("{{\"a\":{}", "[".repeat(n)).as_bytes());
        assert!(deep(MAX_DEPTH - 2).is_ok());
        assert!(matches!(deep(MAX_DEPTH - 1).unwrap_err().fault(), Fault::TooDeep { .. }));
        assert!(Walk::object(0).take(b"[]").is_err());
    }
}
