//! The parameters of a call, whose members are found once and spliced.

mod alike;
mod edit;
mod places;
#[cfg(feature = "legacy")]
mod preset;
mod splice;

use super::{Json, Malformed, id::number, object, scan::Scanner};
use crate::meta;
use bytes::Bytes;
use places::Member;

pub(super) use alike::Amiss;
pub(crate) use alike::is_taken_for;
pub(super) use places::{Places, TELLS};
#[cfg(feature = "legacy")]
pub(crate) use preset::Preset;
use std::borrow::Cow;

/// The parameters of a call: an object as bytes, with the places of the members a gateway needs.
///
/// Made by one shallow pass, which enters `_meta` and no other member. Edits return new parameters in which only the named
/// member differs; those of the reserved members of `_meta` do not read the text again.
///
/// ```
/// use tower_mcp_gateway::json::{Json, Params};
///
/// let params = Params::parse(Json::from_static(r#"{"name":"echo","arguments":{"name":"no"}}"#))?;
/// assert_eq!(params.name().unwrap(), "echo");
/// assert_eq!(params.with_name("say").as_str(), r#"{"name":"say","arguments":{"name":"no"}}"#);
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub struct Params {
    raw: Bytes,
    places: Places,
}

impl Params {
    /// `{}`
    pub fn empty() -> Self {
        Self { raw: Bytes::from_static(b"{}"), places: Places::default() }
    }

    /// Finds the members `name`, `uri` and `_meta`, and the reserved ones of `_meta`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if `json` is no object, or a member of it or of its `_meta` stands twice.
    pub fn parse(json: Json) -> Result<Self, Malformed> {
        let raw = json.into_bytes();
        let mut scanner = Scanner::new(&raw);
        if scanner.peek() != Some(b'{') {
            return Err(Malformed::shape("not an object"));
        }
        let (mut places, mut amiss) = (Places::default(), Amiss::default());
        let object = places.scan(&mut scanner, &mut amiss)?;
        amiss.always.map_or_else(|| Ok(Self::scanned(raw.slice_ref(object), places)), Err)
    }

    /// Those of a text in which places were found.
    pub(super) fn scanned(raw: Bytes, places: Places) -> Self {
        Self { raw, places }
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

    /// A copy of their own, for those that are kept: a slice keeps the whole message that it came in.
    pub(crate) fn unshared(&self) -> Self {
        Self { raw: Json::from(self).unshared().into_bytes(), places: self.places }
    }

    /// `name`, if it is a string: what `tools/call` and `prompts/get` are about.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.string(self.places.name)
    }

    /// `uri`, if it is a string: what `resources/read` is about.
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.string(self.places.uri)
    }

    /// `_meta`, if it stands there; not checked to be an object.
    pub fn meta(&self) -> Option<Json> {
        self.value(self.places.meta)
    }

    /// One member of `_meta`; the [reserved](crate::meta) ones are found without a look at the others.
    pub fn meta_member(&self, key: &str) -> Option<Json> {
        match places::index(key.as_bytes()) {
            Some(known) => self.value(self.places.known[known]),
            None => self.meta().and_then(|meta| meta.member(key)),
        }
    }

    /// The text of one of the [reserved](crate::meta) members of `_meta`.
    pub(crate) fn reserved(&self, key: &str) -> Option<&[u8]> {
        let known = places::index(key.as_bytes())?;
        self.places.known[known].value.range().map(|range| &self.raw[range])
    }

    /// The text of one of the [reserved](crate::meta) members of `_meta`.
    pub(crate) fn meta_text(&self, key: &str) -> Option<&[u8]> {
        let known = places::index(key.as_bytes())?;
        self.places.known[known].value.range().map(|range| &self.raw[range])
    }

    /// The sender's progress token; hop-by-hop, so every transport replaces it by one of its own.
    pub fn progress_token(&self) -> Option<Json> {
        self.meta_member(meta::PROGRESS_TOKEN)
    }

    /// The token that a note of progress names.
    #[cfg(test)]
    pub(crate) fn told_token(&self) -> Option<Json> {
        self.value(self.places.told)
    }

    /// The token that a note of progress names, as a number, as [`Id::as_u64`](super::Id::as_u64) reads one: what a token of the gateway's own is.
    pub(crate) fn told_number(&self) -> Option<u64> {
        number(&self.raw[self.places.told.value.range()?])
    }

    /// Whether they bring answers, or the state of an earlier call.
    pub(crate) fn is_retry(&self) -> bool {
        self.places.is_retry
    }

    /// Whether a place in a list is asked for.
    pub(crate) fn has_cursor(&self) -> bool {
        self.places.has_cursor
    }

    /// Any other member, found by a shallow pass.
    pub fn member(&self, key: &str) -> Option<Json> {
        object::get(&self.raw, key).ok().flatten()
    }

    /// Several other members, found by one shallow pass.
    #[cfg(feature = "legacy")]
    pub(crate) fn members<const N: usize>(&self, keys: [&str; N]) -> [Option<Json>; N] {
        object::members(&self.raw, keys).unwrap_or([const { None }; N])
    }

    fn value(&self, member: Member) -> Option<Json> {
        member.value.range().map(|range| Json::trusted(self.raw.slice(range)))
    }

    fn string(&self, member: Member) -> Option<Cow<'_, str>> {
        text(&self.raw[member.value.range()?])
    }
}

/// What a value of JSON says, if it is a string.
pub(crate) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
}

impl Default for Params {
    fn default() -> Self {
        Self::empty()
    }
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
mod tests;
