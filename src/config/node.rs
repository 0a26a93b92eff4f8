use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// A JSON value that knows where in the text it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    /// The JSON text of the value.
    pub(super) text: &'a str,
    /// Its line, counted from 1.
    pub(super) line: usize,
}

/// A member of an object.
pub(super) struct Member<'a> {
    pub(super) key: String,
    /// The line of the key.
    pub(super) line: usize,
    pub(super) value: Node<'a>,
}

/// One level of a value; what it holds is opened only when it is asked for.
pub(super) enum Shape<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(String),
    List(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

impl<'a> Node<'a> {
    /// The value `text` consists of. A syntax error names line and column of `text`.
    pub(super) fn root(text: &'a str) -> serde_json::Result<Self> {
        let value: &RawValue = serde_json::from_str(text)?;
        Ok(Self { text: value.get(), line: line_of(text, value.get(), 1) })
    }

    /// Opens one level. `None` for a string that is no text, such as a lone surrogate.
    pub(super) fn shape(self) -> Option<Shape<'a>> {
        Some(match self.text.as_bytes().first()? {
            b'n' => Shape::Null,
            b't' | b'f' => Shape::Bool(self.text == "true"),
            b'"' => Shape::String(serde_json::from_str(self.text).ok()?),
            b'[' => {
                let items: Vec<&'a RawValue> = serde_json::from_str(self.text).ok()?;
                Shape::List(items.into_iter().map(|item| self.inner(item)).collect())
            }
            b'{' => {
                let members = serde_json::from_str::<Members<'a>>(self.text).ok()?.0.into_iter();
                let member = |(key, value): (&'a RawValue, &'a RawValue)| {
                    let (line, key) = (self.inner(key).line, serde_json::from_str(key.get()).ok()?);
                    Some(Member { key, line, value: self.inner(value) })
                };
                Shape::Object(members.map(member).collect::<Option<_>>()?)
            }
            _ => Shape::Number(self.text),
        })
    }

    fn inner(self, value: &'a RawValue) -> Node<'a> {
        Node { text: value.get(), line: line_of(self.text, value.get(), self.line) }
    }
}

/// The line `part`, a slice of `whole`, begins at, if `whole` begins at line `first`.
fn line_of(whole: &str, part: &str, first: usize) -> usize {
    let before = part.as_ptr() as usize - whole.as_ptr() as usize;
    first + memchr::memchr_iter(b'\n', &whole.as_bytes()[..before]).count()
}

/// All members, duplicates included: a map type would keep the last one and say nothing.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
