//! Shallow reading and editing of JSON objects: members are found and replaced, their values are never entered.

use super::{
    Fault, Json, Malformed,
    scan::{Key, Scanner},
};
use bytes::Bytes;
use std::{borrow::Cow, collections::HashSet};

/// A value where it stands: valid JSON text that was skipped, not read.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// The JSON text.
    pub fn get(self) -> &'a str {
        std::str::from_utf8(self.0).expect("checked when it was scanned")
    }

    /// The JSON text as bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// One change of an object's members.
#[derive(Clone, Copy, Debug)]
pub enum Edit<'a> {
    /// Gives the member this value: in its place if it stands there, at the end otherwise.
    Set(&'a str, &'a [u8]),
    /// Takes the member out, if it stands there.
    Remove(&'a str),
}

impl Edit<'_> {
    pub(super) fn key(&self) -> &str {
        match self {
            Edit::Set(key, _) | Edit::Remove(key) => key,
        }
    }

    /// How much longer an object can become, in bytes: quotes, colon and comma, unless the key holds what is escaped.
    pub(super) fn grown(&self) -> usize {
        match self {
            Edit::Set(key, value) => key.len() + value.len() + 4,
            Edit::Remove(_) => 0,
        }
    }
}

/// Calls `visit` with the decoded key and the raw value of each member, in order.
///
/// # Errors
///
/// [`Malformed`] if `object` is no object, or a member stands twice.
///
/// ```
/// use tower_mcp_gateway::json::object::each_member;
///
/// let mut names = Vec::new();
/// each_member(br#"{"text":"hello","times":[1,2]}"#, |name, value| names.push(format!("{name}={}", value.get())))?;
/// assert_eq!(names, [r#"text="hello""#, "times=[1,2]"]);
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
pub fn each_member<'a>(object: &'a [u8], mut visit: impl FnMut(&str, Raw<'a>)) -> Result<(), Malformed> {
    let mut seen = Seen::default();
    visit_members(object, |scanner, key| {
        let value = Raw::new(scanner.value()?);
        visit(text(&key.name), value);
        seen.note(key.name)
    })
}

/// The value of one member, sharing the bytes of `object`.
///
/// # Errors
///
/// [`Malformed`] if `object` is no object, or a member stands twice.
///
/// ```
/// use bytes::Bytes;
/// use tower_mcp_gateway::json::object::get;
///
/// let arguments = Bytes::from_static(br#"{"text":"hello"}"#);
/// assert_eq!(get(&arguments, "text")?.unwrap().as_str(), r#""hello""#);
/// assert!(get(&arguments, "times")?.is_none());
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
pub fn get(object: &Bytes, key: &str) -> Result<Option<Json>, Malformed> {
    members(object, [key]).map(|[value]| value)
}

/// The values of several members in one walk, each sharing the bytes of `object`.
///
/// ```
/// use bytes::Bytes;
/// use tower_mcp_gateway::json::object::members;
///
/// let [a, b] = members(&Bytes::from_static(br#"{"b":[2],"c":3}"#), ["a", "b"])?;
/// assert!(a.is_none());
/// assert_eq!(b.unwrap().as_str(), "[2]");
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
///
/// # Errors
///
/// [`Malformed`] if `object` is no object, or a member stands twice.
pub fn members<const N: usize>(object: &Bytes, keys: [&str; N]) -> Result<[Option<Json>; N], Malformed> {
    let (mut found, mut seen) = ([const { None }; N], Seen::default());
    visit_members(object, |scanner, key| {
        let value = scanner.value()?;
        if let Some(at) = keys.iter().position(|wanted| wanted.as_bytes() == &*key.name) {
            found[at] = Some(Json::trusted(object.slice_ref(value)));
        }
        seen.note(key.name)
    })?;
    Ok(found)
}

/// The first member of this name in an object that was checked before; what stands behind it is not looked at.
pub(super) fn first(object: &Bytes, key: &str) -> Option<Json> {
    let mut scanner = Scanner::new(object);
    if !scanner.take(b'{') {
        return None;
    }
    loop {
        let name = scanner.key().ok()?.name;
        let value = scanner.value().ok()?;
        if *name == *key.as_bytes() {
            return Some(Json::trusted(object.slice_ref(value)));
        }
        if !scanner.take(b',') {
            return None;
        }
    }
}

/// The object with its members changed; everything else keeps its bytes and its order, the white space between
/// members apart.
///
/// ```
/// use tower_mcp_gateway::json::object::{edit, Edit};
///
/// let edited = edit(br#"{"a":1.0,"b":[2]}"#, &[Edit::Set("a", b"9"), Edit::Remove("b"), Edit::Set("c", b"{}")])?;
/// assert_eq!(&edited[..], br#"{"a":9,"c":{}}"#);
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
///
/// # Errors
///
/// [`Malformed`] if `object` is no object, or a member stands twice.
pub fn edit(object: &[u8], edits: &[Edit<'_>]) -> Result<Bytes, Malformed> {
    let grown: usize = edits.iter().map(Edit::grown).sum();
    let mut out = Vec::with_capacity(object.len() + grown);
    let mut placed = vec![false; edits.len()];
    out.push(b'{');
    each_member(object, |key, value| match edits.iter().position(|e| e.key() == key) {
        Some(at) => {
            placed[at] = true;
            if let Edit::Set(key, value) = edits[at] {
                push_member(&mut out, key, value);
            }
        }
        None => push_member(&mut out, key, value.as_bytes()),
    })?;
    for (edit, placed) in edits.iter().zip(placed) {
        if let (Edit::Set(key, value), false) = (edit, placed) {
            push_member(&mut out, key, value);
        }
    }
    out.push(b'}');
    Ok(out.into())
}

/// Appends `"key":value`, after a comma where something stands before it.
pub(crate) fn push_member(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    super::write::string(out, key);
    out.push(b':');
    out.extend_from_slice(value);
}

/// A key as text.
pub(super) fn text(key: &[u8]) -> &str {
    std::str::from_utf8(key).expect("checked when it was scanned")
}

/// The keys met so far. Objects of messages have few members, so the first ones are compared one by one and only a
/// large object pays for a set.
#[derive(Default)]
pub(super) struct Seen<'a> {
    few: [&'a [u8]; FEW],
    count: usize,
    /// Those beyond, and those that were written with escapes.
    many: Option<HashSet<Cow<'a, [u8]>>>,
}

const FEW: usize = 12;

impl<'a> Seen<'a> {
    pub(super) fn note(&mut self, key: Cow<'a, [u8]>) -> Result<(), Malformed> {
        let twice =
            self.few[..self.count].contains(&&*key) || self.many.as_ref().is_some_and(|many| many.contains(&key));
        if twice {
            return Err(Malformed::new(Fault::Duplicate(text(&key).into())));
        }
        match key {
            Cow::Borrowed(key) if self.count < FEW => {
                self.few[self.count] = key;
                self.count += 1;
            }
            key => drop(self.many.get_or_insert_default().insert(key)),
        }
        Ok(())
    }
}

/// Walks the members without a check for duplicates; `visit` takes each value, and may end the walk with an error.
pub(super) fn visit_members<'a>(
    object: &'a [u8],
    visit: impl FnMut(&mut Scanner<'a>, Key<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    visit_behind(object, b"", visit)
}

/// As [`visit_members`], without those in `opening`: the bracket and members up to a comma, which the text was found to begin with.
#[inline]
pub(super) fn visit_behind<'a>(
    object: &'a [u8],
    opening: &[u8],
    visit: impl FnMut(&mut Scanner<'a>, Key<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(object);
    if scanner.peek() != Some(b'{') {
        // A text of another kind is JSON, but no object; a text that is no JSON is not even that.
        scanner.value()?;
        scanner.end()?;
        return Err(Malformed::shape("not an object"));
    }
    scanner.members_behind(opening, visit)?;
    scanner.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    #[test]
    fn a_member_that_stands_twice_is_refused_also_when_one_is_escaped() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(matches!(edit(text.as_bytes(), &[]).unwrap_err().fault(), Fault::Duplicate(_)));
        }
        let many: String = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
        assert!(edit(format!("{{{many}\"k39\":1}}").as_bytes(), &[]).is_err());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "1", "null", "", "{", "{}x", r#"{"a"}"#] {
            assert!(edit(text.as_bytes(), &[]).is_err(), "{text}");
        }
    }

    proptest! {
        /// parse(splice(x)) = edit(parse(x)).
        #[test]
        fn an_edit_of_the_text_is_the_edit_of_the_value(
            members in prop::collection::btree_map("[a-d\"\\\\é]{0,2}", any::<i64>(), 0..6),
            key in "[a-d\"\\\\é]{0,2}",
            set in prop::option::of(any::<i64>()),
        ) {
            let mut value: Map<String, Value> = members.into_iter().map(|(k, v)| (k, v.into())).collect();
            let text = serde_json::to_string(&value).unwrap();
            let raw = set.map(|n| n.to_string());
            let change = raw.as_ref().map_or(Edit::Remove(&key), |raw| Edit::Set(&key, raw.as_bytes()));
            let edited = edit(text.as_bytes(), &[change]).unwrap();
            match set {
                Some(n) => { value.insert(key.clone(), n.into()); }
                None => { value.remove(&key); }
            }
            prop_assert_eq!(serde_json::from_slice::<Map<String, Value>>(&edited).unwrap(), value);
        }
    }
}
