use super::{
    Json, Malformed,
    object::{self, Edit},
    write,
};
use crate::meta;
use bytes::Bytes;
use std::{borrow::Cow, ops::Range};

/// The parameters of a call: an object as bytes, with the places of the members a gateway needs.
///
/// Made by one shallow pass; arguments are never entered. Edits return new parameters in which only the named member
/// differs.
#[derive(Clone, Debug)]
pub struct Params {
    raw: Bytes,
    name: Option<Span>,
    uri: Option<Span>,
    meta: Option<Span>,
}

/// Where a value lies. `u32` because a message is far below 4 GiB; larger ones are refused.
type Span = Range<u32>;

impl Params {
    /// `{}`
    pub fn empty() -> Self {
        Self { raw: Bytes::from_static(b"{}"), name: None, uri: None, meta: None }
    }

    /// Finds the members `name`, `uri` and `_meta`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if `json` is no object or a member stands twice.
    pub fn parse(json: Json) -> Result<Self, Malformed> {
        let raw = json.into_bytes();
        if raw.len() > u32::MAX as usize {
            return Err(Malformed::shape("parameters above 4 GiB"));
        }
        let (mut name, mut uri, mut meta) = (None, None, None);
        let start = raw.as_ptr() as usize;
        object::each_member(&raw, |key, value| {
            let value = value.as_bytes();
            let at = (value.as_ptr() as usize - start) as u32;
            let span = Some(at..at + value.len() as u32);
            match key {
                "name" => name = span,
                "uri" => uri = span,
                meta::META => meta = span,
                _ => {}
            }
        })?;
        Ok(Self { raw, name, uri, meta })
    }

    /// Serializes `value`, which must be an object; for the calls the gateway makes itself.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is no object.
    pub fn from_value<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, Malformed> {
        Self::parse(Json::from_value(value)?)
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.raw).expect("checked when the value was made")
    }

    /// The JSON text as bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.raw
    }

    /// `name`, if it is a string: what `tools/call` and `prompts/get` are about.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.string(self.name.as_ref())
    }

    /// `uri`, if it is a string: what `resources/read` is about.
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.string(self.uri.as_ref())
    }

    /// `_meta`, if it stands there; not checked to be an object.
    pub fn meta(&self) -> Option<Json> {
        self.meta.as_ref().map(|span| Json::trusted(self.raw.slice(range(span))))
    }

    /// One member of `_meta`.
    pub fn meta_member(&self, key: &str) -> Option<Json> {
        self.meta().and_then(|meta| meta.member(key))
    }

    /// The sender's progress token; hop-by-hop, so every transport replaces it by one of its own.
    pub fn progress_token(&self) -> Option<Json> {
        self.meta_member(meta::PROGRESS_TOKEN)
    }

    /// Any other member, found by a shallow pass.
    pub fn member(&self, key: &str) -> Option<Json> {
        object::get(&self.raw, key).ok().flatten()
    }

    /// The parameters with another `name`.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Self {
        self.with_string(self.name.as_ref(), "name", name)
    }

    /// The parameters with another `uri`.
    #[must_use]
    pub fn with_uri(&self, uri: &str) -> Self {
        self.with_string(self.uri.as_ref(), "uri", uri)
    }

    /// The parameters with `_meta` edited; a `_meta` that ends up empty is taken out, one that is missing or no object
    /// is made anew.
    #[must_use]
    pub fn edit_meta(&self, edits: &[Edit<'_>]) -> Self {
        let old = self.meta().map_or(Bytes::from_static(b"{}"), Json::into_bytes);
        let new = object::edit(&old, edits).or_else(|_| object::edit(b"{}", edits)).expect("an empty object is one");
        match (&self.meta, &new[..]) {
            (None, b"{}") => self.clone(),
            (Some(_), b"{}") => self.edit(&[Edit::Remove(meta::META)]),
            (Some(span), value) => self.splice(span, value),
            (None, value) => self.edit(&[Edit::Set(meta::META, value)]),
        }
    }

    /// The parameters with top-level members edited.
    #[must_use]
    pub fn edit(&self, edits: &[Edit<'_>]) -> Self {
        let raw = object::edit(&self.raw, edits).expect("checked when the value was made");
        Self::parse(Json::trusted(raw)).expect("an edited object is one")
    }

    fn string(&self, span: Option<&Span>) -> Option<Cow<'_, str>> {
        let raw = &self.raw[range(span?)];
        let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if memchr::memchr(b'\\', inner).is_none() {
            return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
        }
        serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
    }

    fn with_string(&self, span: Option<&Span>, key: &str, text: &str) -> Self {
        let mut value = Vec::with_capacity(text.len() + 2);
        write::string(&mut value, text);
        match span {
            Some(span) => self.splice(span, &value),
            None => self.edit(&[Edit::Set(key, &value)]),
        }
    }

    /// Replaces one value and moves the spans behind it.
    fn splice(&self, span: &Span, value: &[u8]) -> Self {
        let place = range(span);
        let mut raw = Vec::with_capacity(self.raw.len() - place.len() + value.len());
        raw.extend_from_slice(&self.raw[..place.start]);
        raw.extend_from_slice(value);
        raw.extend_from_slice(&self.raw[place.end..]);
        let end = span.start + value.len() as u32;
        let moved = |other: &Option<Span>| {
            other.as_ref().map(|other| match other {
                other if other.start == span.start => span.start..end,
                other if other.start > span.start => other.start - span.end + end..other.end - span.end + end,
                other => other.clone(),
            })
        };
        Self { name: moved(&self.name), uri: moved(&self.uri), meta: moved(&self.meta), raw: raw.into() }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::empty()
    }
}

fn range(span: &Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

impl TryFrom<Json> for Params {
    type Error = Malformed;

    fn try_from(json: Json) -> Result<Self, Malformed> {
        Self::parse(json)
    }
}

impl From<&Params> for Json {
    fn from(params: &Params) -> Self {
        Json::trusted(params.raw.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn params(text: &str) -> Params {
        Params::parse(Json::parse(text.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn members_are_found_and_decoded() {
        let p =
            params(r#"{"_meta":{"progressToken":"t"},"name":"a\u0062","uri":"file:///x","arguments":{"name":"no"}}"#);
        assert_eq!(p.name().unwrap(), "ab");
        assert_eq!(p.uri().unwrap(), "file:///x");
        assert_eq!(p.progress_token().unwrap().as_str(), "\"t\"");
        assert_eq!(p.member("arguments").unwrap().as_str(), r#"{"name":"no"}"#);
        assert_eq!(params(r#"{"name":7}"#).name(), None);
    }

    #[test]
    fn a_splice_moves_the_spans_behind_it() {
        let p = params(r#"{"name":"a","_meta":{"k":1},"uri":"u"}"#).with_name("longer \"name\"");
        assert_eq!(p.as_str(), r#"{"name":"longer \"name\"","_meta":{"k":1},"uri":"u"}"#);
        assert_eq!((p.name().unwrap().as_ref(), p.uri().unwrap().as_ref()), ("longer \"name\"", "u"));
        let p = p.edit_meta(&[Edit::Set("progressToken", b"9")]);
        assert_eq!(p.as_str(), r#"{"name":"longer \"name\"","_meta":{"k":1,"progressToken":9},"uri":"u"}"#);
        assert_eq!(p.uri().unwrap(), "u");
    }

    #[test]
    fn an_emptied_meta_goes_and_a_missing_one_comes() {
        let p = params(r#"{"_meta":{"k":1},"name":"n"}"#).edit_meta(&[Edit::Remove("k")]);
        assert_eq!(p.as_str(), r#"{"name":"n"}"#);
        assert_eq!(p.edit_meta(&[Edit::Set("k", b"2")]).as_str(), r#"{"name":"n","_meta":{"k":2}}"#);
        assert_eq!(p.edit_meta(&[Edit::Remove("k")]).as_str(), r#"{"name":"n"}"#);
    }

    proptest! {
        #[test]
        fn a_renamed_call_differs_in_its_name_alone(old in ".*", new in ".*", after in any::<bool>(), n in any::<i32>()) {
            let mut value = if after { json!({"name": old, "arguments": {"name": n}, "_meta": {"a": n}}) }
                else { json!({"_meta": {"a": n}, "arguments": [n], "name": old}) };
            let renamed = Params::from_value(&value).unwrap().with_name(&new);
            prop_assert_eq!(renamed.name().unwrap(), new.clone());
            prop_assert_eq!(renamed.meta_member("a").unwrap().to_string(), n.to_string());
            value["name"] = Value::from(new);
            prop_assert_eq!(serde_json::from_str::<Value>(renamed.as_str()).unwrap(), value);
        }
    }
}
