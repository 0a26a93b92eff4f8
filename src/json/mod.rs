//! JSON as bytes: validated once, sliced and spliced, never turned into a tree on the way of a call.
//!
//! A gateway looks at a handful of members of each message (`id`, `method`, `params.name`) and must hand on
//! everything else exactly as it came: numbers beyond 2⁵³, key order, escapes. So a message stays the [`Bytes`] it
//! arrived in. [`Message::parse`] makes one borrowed pass over the envelope and, shallowly, over the parameters, and the edits a hop needs (a renamed tool, a minted progress token) are splices around the
//! original slices.
//!
//! ```
//! use tower_mcp_gateway::json::Message;
//!
//! let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"search","arguments":{"n":1e400}}}"#;
//! let Message::Request { id, params, .. } = Message::parse(body.into())? else { unreachable!() };
//! let params = params.with_name("search_v2");
//! assert_eq!(id.as_str(), "7");
//! assert_eq!(params.as_str(), r#"{"name":"search_v2","arguments":{"n":1e400}}"#);
//! # Ok::<(), tower_mcp_gateway::json::Malformed>(())
//! ```

#[cfg(any(feature = "sse", feature = "stdio"))]
mod ends;
mod envelope;
mod error;
mod id;
mod members;
pub mod object;
#[cfg(any(feature = "http", test))]
mod opening;
mod params;
mod scan;
mod several;
#[cfg(test)]
pub(crate) mod splices;
mod string;
mod walk;
pub mod write;

pub use self::{
    envelope::{MAX_BATCH, Message, elements},
    error::{Fault, Malformed},
    id::Id,
    members::Members,
    params::Params,
    several::{Documents, documents},
    walk::Walk,
};

#[cfg(any(feature = "sse", feature = "stdio"))]
pub(crate) use self::ends::Ends;
#[cfg(feature = "http")]
pub(crate) use self::opening::Opening;
#[cfg(feature = "legacy")]
pub(crate) use self::params::Preset;
pub(crate) use self::params::{is_taken_for, text};

use bytes::Bytes;
use memchr::memmem;
use scan::Scanner;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The deepest nesting a message may have. Unread values are skipped iteratively, so nothing else would stop a
/// body of a million `[` from reaching an upstream whose parser recurses.
pub const MAX_DEPTH: usize = 128;

/// A complete JSON value as the bytes it arrived in; cloning shares them.
#[derive(Clone)]
pub struct Json {
    text: Bytes,
    /// Known of the results of servers.
    members: Members,
}

impl Json {
    /// Checks that `bytes` are one JSON value (UTF-8, at most [`MAX_DEPTH`] deep) and wraps them.
    ///
    /// # Errors
    ///
    /// [`Malformed`] with the byte offset where the text stops being JSON.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, Malformed> {
        let bytes = bytes.into();
        let mut scanner = Scanner::new(&bytes);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(Self::trusted(bytes.slice_ref(value)))
    }

    /// Serializes `value`; for the messages the gateway makes itself, not for those it hands on.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if `value` has no JSON form, such as a map whose keys are not strings.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, Malformed> {
        Ok(Self::trusted(serde_json::to_vec(value)?.into()))
    }

    /// Wraps text that is known to be JSON at compile time.
    ///
    /// # Panics
    ///
    /// In debug builds, if it is not.
    pub fn from_static(text: &'static str) -> Self {
        debug_assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "not JSON: {text}");
        Self::trusted(Bytes::from_static(text.as_bytes()))
    }

    /// Wraps bytes that a parse of this module has already covered.
    pub(crate) fn trusted(text: Bytes) -> Self {
        Self { text, members: Members::default() }
    }

    /// Wraps the text of a value whose members were noted while it was scanned.
    pub(crate) fn scanned(text: Bytes, members: Members) -> Self {
        Self { text, members }
    }

    /// Whether both are the very same bytes in memory, which is more than being equal and costs nothing to find out.
    #[cfg(feature = "legacy")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.text.as_ptr() == other.text.as_ptr() && self.text.len() == other.text.len()
    }

    /// A copy of its own, for what outlives the message it came in: a slice keeps all of that in memory.
    pub(crate) fn unshared(&self) -> Self {
        Self { text: Bytes::copy_from_slice(&self.text), members: self.members }
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("checked when the value was made")
    }

    /// The JSON text as bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// The JSON text as owned bytes.
    pub fn into_bytes(self) -> Bytes {
        self.text
    }

    /// Reads the value into a type, borrowing from it where the type allows.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the value has another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Malformed> {
        Ok(serde_json::from_slice(&self.text)?)
    }

    /// The first member `key` of an object, found without a look at what follows it: for large results, of which clients
    /// take what they take.
    pub(crate) fn first(&self, key: &str) -> Option<Json> {
        object::first(&self.text, key)
    }

    /// Whether an object has the member. Most results do not even hold its name, which is seen without parsing where nothing
    /// was noted.
    pub(crate) fn has(&self, key: &str) -> bool {
        let held = || memmem::find(&self.text, key.as_bytes()).is_some() && self.first(key).is_some();
        self.members.has(key).unwrap_or_else(held)
    }

    /// Whether this is a result that asks the client for more. Most that were not noted do not even hold the words, which is seen
    /// without parsing.
    #[cfg(feature = "legacy")]
    pub(crate) fn asks(&self) -> bool {
        let says = || self.member("resultType").is_some_and(|kind| kind.as_str() == members::INPUT_REQUIRED);
        let held = || memmem::find(&self.text, members::INPUT_REQUIRED.as_bytes()).is_some() && says();
        self.members.asks().unwrap_or_else(held)
    }

    /// The member `key` of an object; `None` if there is none, or if this is no object.
    pub fn member(&self, key: &str) -> Option<Json> {
        object::get(&self.text, key).ok().flatten()
    }

    /// Several members in one walk; all `None` if this is no object.
    #[cfg(feature = "legacy")]
    pub(crate) fn members<const N: usize>(&self, keys: [&str; N]) -> [Option<Json>; N] {
        object::members(&self.text, keys).unwrap_or([const { None }; N])
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(nested(MAX_DEPTH)).is_ok());
        let error = Json::parse(nested(MAX_DEPTH + 1)).unwrap_err();
        assert!(matches!(error.fault(), Fault::TooDeep { offset: MAX_DEPTH }), "{error}");
        assert!(Json::parse(format!(r#"["{}\"{}"]"#, "[".repeat(500), "{".repeat(500))).is_ok());
        assert!(Json::parse("[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_value_keeps_its_bytes_and_loses_the_space_around_it() {
        let json = Json::parse(" {\"a\": 1e400, \"b\":9007199254740993} \n").unwrap();
        assert_eq!(json.as_str(), "{\"a\": 1e400, \"b\":9007199254740993}");
        assert!(Json::parse("{} {}").is_err());
        assert!(Json::parse(b"\"\xff\"".as_slice()).is_err());
    }
}
