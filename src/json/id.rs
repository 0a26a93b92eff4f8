use super::{Json, Malformed};
use bytes::Bytes;
use std::fmt;

/// A JSON-RPC request id, as the text its sender wrote: a string or an integer.
///
/// Ids are hop-by-hop. The text is kept rather than the value, so that a client gets back exactly what it sent:
/// `"1"` stays a string, and an integer beyond 2⁶⁴ loses no digit.
///
/// ```
/// use tower_mcp_gateway::json::{Id, Json};
///
/// let id = |text| Id::from_json(Json::from_static(text));
/// assert_ne!(id("1")?, id("\"1\"")?);
/// assert!(id("null").is_err());
/// # Ok::<(), tower_mcp_gateway::json::Malformed>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Bytes);

impl Id {
    /// The longest text of an id, in bytes. Ids go back with answers, many of which may wait to be written, and nobody counts
    /// in numbers of a thousand digits.
    pub const MAX: usize = 1024;

    /// Takes a JSON value as an id.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for anything but a string or an integer of at most [`MAX`](Self::MAX) bytes; `null` is no id in MCP.
    pub fn from_json(json: Json) -> Result<Self, Malformed> {
        let bytes = json.into_bytes();
        if bytes.len() > Self::MAX {
            return Err(Malformed::shape("the id must not be longer than 1024 bytes"));
        }
        let integer = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        match bytes.first() {
            Some(b'"') => Ok(Self(bytes)),
            Some(b'-') if integer(&bytes[1..]) => Ok(Self(bytes)),
            Some(_) if integer(&bytes) => Ok(Self(bytes)),
            _ => Err(Malformed::shape("the id must be a string or an integer")),
        }
    }

    /// The id as JSON text, quotes included.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("taken from JSON")
    }

    /// The id as the bytes of JSON text, quotes included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id as JSON.
    pub fn to_json(&self) -> Json {
        Json::trusted(self.0.clone())
    }

    /// The number, if this is one that fits; the gateway's own upstream ids always do. A string of digits counts as
    /// well, because some servers turn ids into strings.
    pub fn as_u64(&self) -> Option<u64> {
        number(&self.0)
    }
}

/// The number of an id as [`Id::as_u64`] reads it.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"\"").and_then(|digits| digits.strip_suffix(b"\"")).unwrap_or(text);
    let add = |number: u64, digit: &u8| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    };
    digits.iter().try_fold(0, add).filter(|_| !digits.is_empty())
}

impl From<u64> for Id {
    fn from(id: u64) -> Self {
        Self(Bytes::from(id.to_string()))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_integers_are_ids_and_keep_their_text() {
        for text in ["1", "-7", "0", "\"a\\u0041\"", "18446744073709551617", "\"\""] {
            let id = Id::from_json(Json::parse(text).unwrap()).unwrap();
            assert_eq!(id.as_str(), text);
        }
        for text in ["null", "1.0", "1e3", "{}", "[]", "true", "-"] {
            if let Ok(json) = Json::parse(text) {
                assert!(Id::from_json(json).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn what_would_fill_a_queue_of_answers_is_no_id() {
        let id = |length: usize| Id::from_json(Json::parse(format!("{:?}", "x".repeat(length - 2))).unwrap());
        assert!(id(Id::MAX).is_ok());
        assert!(id(Id::MAX + 1).unwrap_err().to_string().contains(&Id::MAX.to_string()));
    }

    #[test]
    fn an_own_id_is_found_again_also_as_a_string() {
        assert_eq!(Id::from(41).as_u64(), Some(41));
        assert_eq!(Id::from_json(Json::parse("\"41\"").unwrap()).unwrap().as_u64(), Some(41));
        for other in ["\"x\"", "\"\"", "-1", "\"+1\"", "18446744073709551616"] {
            assert_eq!(Id::from_json(Json::parse(other).unwrap()).unwrap().as_u64(), None, "{other}");
        }
        assert_eq!(Id::from_json(Json::parse("18446744073709551615").unwrap()).unwrap().as_u64(), Some(u64::MAX));
    }
}
